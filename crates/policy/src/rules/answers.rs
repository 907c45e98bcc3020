//! What the rules answered: the same question under the same policies has the same answer, so it is asked once.

use std::{collections::BTreeMap, sync::RwLock};

use super::{Release, Ruling};
use crate::why::Finding;

/// More questions than this are not remembered: what a gate is asked beyond them is asked anew each time.
const MOST: usize = 1_024;

/// Which license was asked, if not the directive itself, and what was answered.
type Answer = (Option<usize>, Ruling);

/// The answers of one gate, by question.
///
/// Nothing that a caller sends is part of a question but what was established about them, so it is few that are asked.
#[derive(Debug, Default)]
pub(super) struct Answers(RwLock<BTreeMap<Release, Vec<Answer>>>);

impl Answers {
    /// Returns the answer that is known, or asks for it; what could not be evaluated is not remembered.
    pub(super) fn get_or_ask(
        &self,
        license: Option<usize>,
        question: &Release,
        ask: impl FnOnce() -> Result<Ruling, Finding>,
    ) -> Result<Ruling, Finding> {
        if let Some(known) = self.get(license, question) {
            return Ok(known);
        }
        let answer = ask()?;
        self.put(license, question, &answer);
        Ok(answer)
    }

    fn get(&self, license: Option<usize>, question: &Release) -> Option<Ruling> {
        let known = self.0.read().ok()?;
        let answers = known.get(question)?;
        answers.iter().find(|(asked, _)| *asked == license).map(|(_, answer)| answer.clone())
    }

    fn put(&self, license: Option<usize>, question: &Release, answer: &Ruling) {
        let Ok(mut known) = self.0.write() else { return };
        if known.len() < MOST || known.contains_key(question) {
            known.entry(question.clone()).or_default().push((license, answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use terms::{EndUse, Standing};

    use super::*;
    use crate::{Code, caller::Headquarters, nationality::Nationality};

    fn question(number: usize) -> Release {
        Release {
            standing: Standing::ForeignPerson,
            location: None,
            foreign_organization: false,
            resells: false,
            roles: Vec::new(),
            spent: Vec::new(),
            end_use: EndUse::parse(&format!("use-{number}")).ok(),
            headquarters: Headquarters::Nobody,
            ear: Nationality::Unknown,
            itar: Nationality::Unknown,
        }
    }

    #[test]
    fn a_question_is_asked_once_of_each_license_and_beyond_the_most_each_time() {
        let (answers, asked) = (Answers::default(), Cell::new(0));
        let ask = |license, number| {
            let silent = || {
                asked.set(asked.get() + 1);
                Ok(Ruling::Silent)
            };
            answers.get_or_ask(license, &question(number), silent).unwrap();
            asked.get()
        };
        assert_eq!([ask(None, 0), ask(None, 0), ask(Some(0), 0), ask(Some(1), 0), ask(Some(0), 0)], [1, 1, 2, 3, 3]);
        for number in 1..MOST {
            ask(None, number);
        }
        let before = asked.get();
        assert_eq!([ask(None, MOST), ask(None, MOST), ask(None, MOST - 1)], [before + 1, before + 2, before + 2]);
        assert_eq!([ask(Some(2), 0), ask(Some(2), 0)], [before + 3, before + 3], "another license of a known question");
        assert_eq!(answers.0.read().unwrap().len(), MOST);
    }

    #[test]
    fn what_could_not_be_evaluated_is_asked_again() {
        let answers = Answers::default();
        let failed = || Err(Finding::deny(Code::EvaluationFailed, None));
        assert!(answers.get_or_ask(None, &question(0), failed).is_err());
        let forbidden = || Ok(Ruling::Forbid(vec![Finding::deny(Code::EveryoneBarred, None)]));
        for _ in 0..2 {
            assert!(
                matches!(answers.get_or_ask(None, &question(0), forbidden), Ok(Ruling::Forbid(why)) if why.len() == 1)
            );
        }
        assert!(matches!(answers.get_or_ask(None, &question(0), failed), Ok(Ruling::Forbid(_))));
    }
}
