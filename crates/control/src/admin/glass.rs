//! Breaking the glass: one officer acts alone, with an alarm, and what gives access is undone at its limit.

use policy::{Snapshot, SnapshotDocument, Status};
use terms::InstrumentId;

use super::{Changed, Emergency, Officer, Placed, checks::Checks, desk};
use crate::{
    Actor, BreakGlass, Control, Fault, GlassEnd, GlassEndReason, InstrumentKind, Role, Turn, amend,
    commit::Act,
    control::{Inner, Registry, read, write},
    glass::Due,
    instrument::Instrument,
    record::Record,
    supersede::superseded,
};

impl Officer<'_> {
    /// Puts the latest filed version in force without its approvals.
    ///
    /// What only takes access away stays, with an alarm until it is approved. What can give access is undone after
    /// `why.minutes`, also if the process is down at that moment: then before it serves again.
    ///
    /// # Errors
    ///
    /// As [`Officer::apply`], but not for missing approvals; [`Fault::Invalid`] naming a wrong field of `why`;
    /// [`Fault::Conflict`] if approvals are not needed here, or the instrument is open by an earlier break of the glass.
    pub fn apply_by_break_glass(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        version: Option<u64>,
        why: Emergency,
    ) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let waiting = desk::waiting(&registry.store, kind, id, version)?;
        self.break_glass(&mut registry, waiting.instrument, why)
    }

    /// Stays, vacates or lifts the instrument in force without the approvals for it; otherwise as
    /// [`Officer::apply_by_break_glass`].
    ///
    /// # Errors
    ///
    /// As [`Officer::turn`] and [`Officer::apply_by_break_glass`].
    pub fn turn_by_break_glass(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        turn: Turn,
        why: Emergency,
    ) -> Result<Changed<Placed>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let turned = self.turned(&registry, kind, id, turn)?;
        self.break_glass(&mut registry, turned, why)
    }

    /// A crash after the break is recorded and before the act is leaves an open break without effect, which the next
    /// start ends. There is never an act without the record of its limit.
    fn break_glass(
        &self,
        registry: &mut Registry,
        instrument: Instrument,
        why: Emergency,
    ) -> Result<Changed<Placed>, Fault> {
        let inner = self.admin.inner;
        check_emergency(&why)?;
        let glass = self.glass_of(registry, &instrument, why)?;
        let to_come = inner.to_come_after(&instrument)?;
        let after = self.ready(registry, &instrument, &to_come)?;
        let code = glass_code(instrument.kind());
        self.admin.commit(registry, code, Record::BreakGlass(glass.clone()), ())?;
        tracing::error!(
            instrument = %glass.id, version = glass.version, actor = glass.actor, until = %glass.until,
            undone_at_limit = glass.widens(), "an instrument takes force without its approvals"
        );
        self.put(registry, instrument, &to_come, after)
    }

    fn glass_of(&self, registry: &Registry, instrument: &Instrument, why: Emergency) -> Result<BreakGlass, Fault> {
        let (inner, now) = (self.admin.inner, self.admin.now());
        let (kind, id) = (instrument.kind(), instrument.id());
        if inner.desk.is_single_person() {
            return Err(Fault::Conflict("`desk.approvals` is 0: apply it, no approval is needed".to_owned()));
        }
        if superseded(&registry.store, inner.snapshot().document(), instrument, now)?.is_some() {
            return Err(Fault::Conflict(format!("`{id}` supersedes another instrument: that needs its approvals")));
        }
        if instrument.status_since() > now {
            return Err(Fault::invalid("status_since", "must not be in the future: what can wait can be approved"));
        }
        let open = read(&inner.glass).iter().find(|glass| glass.kind == kind && glass.id == *id).cloned();
        // What comes back by itself is what counts as in force: one break must not hide behind another.
        let before = match open.as_ref().and_then(|glass| glass.restore.clone()) {
            Some(restore) => Some(restore),
            None => Instrument::governing(inner.snapshot().document(), kind, id, now).map(|held| held.json()),
        };
        let narrows = amend::only_narrows(kind, before.as_ref(), &instrument.json());
        if open.is_some() && !narrows {
            let detail = format!("`{id}` is in force without its approvals already: have that approved first");
            return Err(Fault::Conflict(detail));
        }
        // Where nothing governed before, what comes back authorizes nothing yet.
        let nothing = || desk::reissued(instrument, instrument.version(), Status::Pending, now).map(|held| held.json());
        let restore = if narrows { None } else { Some(before.map_or_else(nothing, Ok)?) };
        Ok(BreakGlass {
            kind,
            id: id.clone(),
            version: instrument.version(),
            actor: self.admin.actor().name().to_owned(),
            reason: why.reason,
            opened_at: now,
            until: now.plus(std::time::Duration::from_secs(why.minutes.saturating_mul(60))),
            restore,
            ended: None,
        })
    }
}

fn check_emergency(why: &Emergency) -> Result<(), Fault> {
    let mut checks = Checks::default();
    let said = (10..=500).contains(&why.reason.trim().chars().count())
        && why.reason.chars().count() <= 500
        && !why.reason.chars().any(char::is_control);
    checks.require(said, "reason", "must be 10 to 500 characters, no control characters: say why it cannot wait");
    checks.require((1..=240).contains(&why.minutes), "minutes", "must be 1 to 240");
    checks.finish()
}

impl Control {
    /// Undoes every act without approvals whose limit has come, and closes what was approved or replaced meanwhile.
    ///
    /// Call it at least once a second. What it could not do it does at the next call, and before the next start serves.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the first act that could not be undone or closed; the others are done.
    pub fn keep_limits(&self) -> Result<(), Fault> {
        if read(&self.0.glass).is_empty() {
            return Ok(());
        }
        let mut registry = self.0.peek();
        if registry.behind {
            // What gave access is undone on record even if the registry cannot follow.
            let caught_up = self.0.catch_up(&mut registry);
            caught_up.err().into_iter().for_each(|fault| tracing::error!(%fault, "the registry lags behind"));
        }
        self.0.settle(&mut registry)
    }

    /// Returns how many acts are in force without their approvals.
    #[must_use]
    pub fn break_glass_open(&self) -> u64 {
        u64::try_from(read(&self.0.glass).len()).unwrap_or(u64::MAX)
    }
}

impl Inner {
    /// Keeps the list of what is open in step with a stored record.
    pub(crate) fn note_glass(&self, glass: &BreakGlass) {
        let mut open = write(&self.glass);
        open.retain(|held| (held.kind, &held.id, held.version) != (glass.kind, &glass.id, glass.version));
        open.extend(glass.ended.is_none().then(|| glass.clone()));
    }

    /// As [`Inner::settle`], after an act that is done whatever becomes of this.
    pub(super) fn settle_glass(&self, registry: &mut Registry) {
        if let Err(fault) = self.settle(registry) {
            tracing::error!(%fault, "a break of the glass could not be closed; it is tried again");
        }
    }

    fn settle(&self, registry: &mut Registry) -> Result<(), Fault> {
        let open = read(&self.glass).clone();
        let settled: Vec<_> = open.into_iter().map(|glass| self.settle_one(registry, glass)).collect();
        settled.into_iter().collect()
    }

    fn settle_one(&self, registry: &mut Registry, glass: BreakGlass) -> Result<(), Fault> {
        let now = self.clock.now();
        let governing = Instrument::governing(self.snapshot().document(), glass.kind, &glass.id, now);
        let governing = governing.map(|held| held.version());
        // Approvals that cannot be read now do not count now.
        let approved = self.is_approved(registry, &glass).unwrap_or(false);
        match glass.due(governing, approved, now) {
            Due::Nothing => Ok(()),
            Due::End(why) => self.end_glass(registry, glass, why),
            Due::Restore => {
                self.restore(registry, &glass)?;
                self.end_glass(registry, glass, GlassEndReason::Limit)
            }
        }
    }

    fn is_approved(&self, registry: &Registry, glass: &BreakGlass) -> Result<bool, Fault> {
        if self.desk.is_single_person() {
            // That nobody is asked any more does not mean that anybody has approved this.
            return Ok(false);
        }
        let versions = registry.store.versions(glass.kind, &glass.id)?;
        let filed = versions.iter().find(|filed| filed.instrument.version() == glass.version);
        Ok(filed.is_some_and(|filed| self.check_approved(&registry.store, filed).is_ok()))
    }

    /// Puts back in force, as a new version, what governed before. It binds once it is on record.
    fn restore(&self, registry: &mut Registry, glass: &BreakGlass) -> Result<(), Fault> {
        let bytes = glass.restore.as_ref().map(ToString::to_string).unwrap_or_default();
        let before =
            Instrument::parse(glass.kind, bytes.as_bytes()).map_err(|fault| Fault::Invalid(vec![fault.into()]))?;
        let known = registry.store.versions(glass.kind, &glass.id).ok();
        let last = known.and_then(|mut known| known.pop()).map_or(0, |filed| filed.instrument.version());
        let next = last.max(glass.version).saturating_add(1);
        let restored = desk::reissued(&before, next, before.status(), self.clock.now())?;
        let back = [self.to_come_after(&restored)?, vec![restored]].concat();
        let back = Snapshot::compile(self.document_with(back)).map_err(Fault::does_not_compile)?;
        let actor = Actor::process("desk", Role::Root);
        let receipt = self.enact(registry, Act::new(&actor, restore_code(glass.kind)), back)?;
        tracing::error!(
            instrument = %glass.id, version = next, recalled = receipt.effect.recalled,
            "an act without approvals came to its limit: what was in force before is in force again"
        );
        Ok(())
    }

    /// Requires that every act without approvals that is to be undone at its limit could be undone under `document` too.
    pub(super) fn check_restorable(&self, document: &SnapshotDocument) -> Result<(), Fault> {
        let open = read(&self.glass).clone();
        for (glass, before) in open.iter().filter_map(|glass| Some((glass, glass.restore.as_ref()?))) {
            let before = Instrument::parse(glass.kind, before.to_string().as_bytes());
            let before = before.map_err(|fault| Fault::Invalid(vec![fault.into()]))?;
            let held = Instrument::all(document).filter(|held| held.kind() == glass.kind && *held.id() == glass.id);
            let last = held.map(|held| held.version()).max().unwrap_or(glass.version).saturating_add(1);
            let mut back = document.clone();
            desk::reissued(&before, last, before.status(), self.clock.now())?.put_into(&mut back, self.clock.now());
            if let Err(faults) = Snapshot::compile(back) {
                let why = faults.first().map(ToString::to_string).unwrap_or_default();
                let detail =
                    format!("`{}` could not be put back at the limit of its break of the glass: {why}", glass.id);
                return Err(Fault::Conflict(detail));
            }
        }
        Ok(())
    }

    /// Returns what waits for its day, numbered so that it goes on waiting after `instrument` took force.
    fn to_come_after(&self, instrument: &Instrument) -> Result<Vec<Instrument>, Fault> {
        let (snapshot, now) = (self.snapshot(), self.clock.now());
        let to_come = Instrument::to_come(snapshot.document(), instrument.kind(), instrument.id(), now);
        let numbered = to_come.iter().zip(instrument.version().saturating_add(1)..);
        numbered.map(|(held, number)| desk::reissued(held, number, held.status(), held.status_since())).collect()
    }

    fn end_glass(&self, registry: &mut Registry, glass: BreakGlass, why: GlassEndReason) -> Result<(), Fault> {
        let ended = BreakGlass { ended: Some(GlassEnd { at: self.clock.now(), why }), ..glass };
        let actor = Actor::process("desk", Role::Root);
        let act = Act::new(&actor, end_code(ended.kind));
        self.commit(registry, act, Record::BreakGlass(ended)).map(drop)
    }
}

fn glass_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.break_glass",
        InstrumentKind::License => "license.break_glass",
    }
}

fn end_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.break_glass_end",
        InstrumentKind::License => "license.break_glass_end",
    }
}

fn restore_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.restore",
        InstrumentKind::License => "license.restore",
    }
}
