//! What somebody should think about before approving: discrimination, and more cut than the law asks for.

use std::collections::BTreeMap;

use terms::{InstrumentId, UsPersonLimb};

use super::{
    Study,
    answers::{Column, Verdict},
    classes::index,
    report::{Answer, Reach, Warning, WarningKind},
    shape::{PersonShape, Shape, StandingClaim},
};
use crate::Code;

const ANTI_DISCRIMINATION: &str = "8 USC 1324b";

impl Study<'_> {
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.narrow_directives();
        for place in 0..self.models.len() {
            warnings.extend(self.protected(place));
            warnings.extend(self.held_us_persons(place));
            warnings.extend(self.whole_tenants(place));
        }
        warnings.extend(self.notices());
        warnings
    }

    /// Warns of directives that bar people whom 15 CFR 772.1 does not count as foreign.
    fn narrow_directives(&self) -> Vec<Warning> {
        let warn = |directive: &InstrumentId| Warning {
            kind: WarningKind::CitizensOnly { directive: directive.clone() },
            model: None,
            reach: Reach::default(),
            message: format!("`{directive}` bars permanent residents, refugees and asylees, whom 15 CFR 772.1 excepts"),
            cite: Some(ANTI_DISCRIMINATION.to_owned()),
        };
        let directives = self.plan.after.document().directives.iter();
        directives.filter(|directive| directive.is_narrower_than_law()).map(|directive| warn(directive.id())).collect()
    }

    /// Warns of protected people who would be denied as foreign.
    fn protected(&self, place: usize) -> Vec<Warning> {
        let mut by_limb: BTreeMap<UsPersonLimb, Vec<u32>> = BTreeMap::new();
        for class in
            self.classes_with(place, |answer| matches!(answer, Answer::Deny { code: Code::ForeignPersonBarred, .. }))
        {
            for person in self.people(class).iter().filter(|person| !is_called_foreign(person)) {
                for limb in limbs(person).filter(|limb| *limb > UsPersonLimb::National) {
                    by_limb.entry(limb).or_default().push(class);
                }
            }
        }
        let warn = |(limb, classes): (UsPersonLimb, Vec<u32>)| {
            let reach = self.reach_of(place, &classes);
            let message = format!("{} persons protected as {limb:?} would be denied as foreign", reach.persons);
            self.warning(WarningKind::ProtectedDenied { limb }, place, reach, message, Some(ANTI_DISCRIMINATION))
        };
        by_limb.into_iter().map(warn).collect()
    }

    /// Warns of U.S. persons who would lose a model only because what is on file is old or weak.
    fn held_us_persons(&self, place: usize) -> Option<Warning> {
        let held = self.classes_with(place, |answer| matches!(answer, Answer::Hold { .. })).into_iter();
        let before = self.before.get(place)?;
        let classes: Vec<u32> =
            held.filter(|class| self.verdict(before, *class) == Some(Verdict::Permit) && self.is_us(*class)).collect();
        let reach = self.reach_of(place, &classes);
        let message = format!("{} U.S. persons would lose access only for evidence to be renewed", reach.persons);
        (!classes.is_empty()).then(|| self.warning(WarningKind::UsPersonsHeld, place, reach, message, None))
    }

    /// Warns of tenants that would be cut whole although most of those cut are U.S. persons.
    fn whole_tenants(&self, place: usize) -> Vec<Warning> {
        let (Some(before), Some(after)) = (self.before.get(place), self.after.get(place)) else {
            return Vec::new();
        };
        let traffic = self.traffic.get(place).copied();
        let had = |class| self.verdict(before, class) == Some(Verdict::Permit);
        let lost = |class| self.is_lost(before, after, class);
        let us = self.census.by_tenant(traffic, |class| lost(class) && self.is_us(class), had);
        let us: BTreeMap<_, u64> = us.into_iter().map(|row| (row.tenant, row.reach.persons)).collect();
        let rows = self.census.by_tenant(traffic, lost, had).into_iter();
        let warn = |row: super::TenantRow| {
            let us = us.get(&row.tenant).copied().unwrap_or(0);
            let whole = row.reach.keys == row.permitted_before && row.reach.persons > 1;
            let tenant = row.tenant.filter(|_| whole && us * 2 > row.reach.persons)?;
            let message =
                format!("`{tenant}` would be cut whole; {us} of {} persons are U.S. persons", row.reach.persons);
            Some(self.warning(WarningKind::TenantCut { tenant }, place, row.reach, message, None))
        };
        rows.filter_map(warn).take(self.plan.options.tenants).collect()
    }

    fn notices(&self) -> Vec<Warning> {
        let told: Vec<String> = self
            .narrow_directives()
            .into_iter()
            .filter_map(|warning| match warning.kind {
                WarningKind::CitizensOnly { directive } => Some(directive.to_string()),
                _ => None,
            })
            .collect();
        let notices = self.plan.after.notices().into_iter();
        let new = notices.filter(|notice| !(told.contains(&notice.at) && notice.why.contains(ANTI_DISCRIMINATION)));
        let warn = |notice: crate::Notice| Warning {
            kind: WarningKind::Notice { at: notice.at },
            model: None,
            reach: Reach::default(),
            message: notice.why,
            cite: None,
        };
        new.map(warn).collect()
    }

    fn warning(&self, kind: WarningKind, place: usize, reach: Reach, message: String, cite: Option<&str>) -> Warning {
        Warning { kind, model: self.models.get(place).cloned(), reach, message, cite: cite.map(str::to_owned) }
    }

    /// Lists the classes whose answer then is such, in order.
    fn classes_with(&self, place: usize, such: impl Fn(&Answer) -> bool) -> Vec<u32> {
        let column: Option<&Column> = self.after.get(place);
        let numbered = (0..).zip(column.into_iter().flatten());
        numbered.filter(|(_, answer)| self.answers.get(**answer).is_some_and(&such)).map(|(class, _)| class).collect()
    }

    fn reach_of(&self, place: usize, classes: &[u32]) -> Reach {
        let traffic = self.traffic.get(place).copied();
        self.census.reach(traffic, |class| classes.binary_search(&class).is_ok(), self.classes.shapes.len())
    }

    fn people(&self, class: u32) -> &[PersonShape] {
        match self.classes.shapes.get(index(class)) {
            Some(Shape::Live(live)) => &live.people,
            Some(Shape::Ended | Shape::Inactive) | None => &[],
        }
    }

    /// Tells whether everyone behind a class is attested as a U.S. person, well or badly, and as nothing else.
    fn is_us(&self, class: u32) -> bool {
        let people = self.people(class);
        !people.is_empty() && people.iter().all(|p| limbs(p).next().is_some() && !is_called_foreign(p))
    }
}

fn limbs(person: &PersonShape) -> impl Iterator<Item = UsPersonLimb> {
    person.standings.iter().filter_map(|word| match word.claim {
        StandingClaim::UsPerson(limb) => Some(limb),
        StandingClaim::ForeignPerson => None,
    })
}

fn is_called_foreign(person: &PersonShape) -> bool {
    person.standings.iter().any(|word| word.claim == StandingClaim::ForeignPerson)
}
