//! Questions with known answers, asked first of each solver process: one that lies about these is not believed.

use cedar_policy::{Authorizer, Decision, PolicySet, Schema};

use crate::{
    Fault,
    proofs::Canary,
    session::{Asker, Broken, Question},
};

const SCHEMA: &str = r#"
entity Caller;
entity Thing in [Shelf];
entity Shelf;
action take appliesTo { principal: Caller, resource: Thing, context: { word: String, words: Set<String> } };
"#;
const NARROW: &str = r#"permit (principal, action, resource)
when { resource in Shelf::"low" && context.words.contains("key") && context.word == "key" };"#;
const WIDE: &str = r"permit (principal, action, resource) when { context.words.contains(context.word) };";

const TRUE_CLAIM: &str = "whoever names `key` and has it has what they name";
const FALSE_CLAIM: &str = "whoever has what they name names `key`";

/// Returns what is asked, for the record.
pub(crate) fn claims() -> Vec<Canary> {
    [(TRUE_CLAIM, true), (FALSE_CLAIM, false)].map(|(claim, holds)| Canary { claim: claim.to_owned(), holds }).into()
}

/// Asks the solver both.
///
/// # Errors
///
/// [`Fault::Canary`]: it gave a wrong answer or none, or was not needed, so that nothing is known about it.
pub(crate) async fn ask(asker: &mut Asker) -> Result<(), Fault> {
    let schema = Schema::from_cedarschema_str(SCHEMA).map_err(Fault::rules)?.0;
    let shape = schema.request_envs().next().ok_or_else(|| Fault::rules("the canary has no shape"))?;
    let (narrow, wide) = (parse(NARROW)?, parse(WIDE)?);
    let question = |claim, bound| Question { schema: &schema, shape: &shape, claim, bound, assumed: &[] };
    let refused = |why: Broken| Fault::Canary { canary: TRUE_CLAIM, why: why.0 };
    if asker.refute(&question(&narrow, &wide)).await.map_err(refused)?.is_some() {
        return Err(Fault::Canary { canary: TRUE_CLAIM, why: "it refuted what is true".to_owned() });
    }
    let fault = |why: &str| Fault::Canary { canary: FALSE_CLAIM, why: why.to_owned() };
    let found = asker.refute(&question(&wide, &narrow)).await.map_err(|why| fault(&why.0))?;
    let found = found.ok_or_else(|| fault("it proved what is false"))?;
    let decision =
        |rules: &PolicySet| Authorizer::new().is_authorized(&found.request, rules, &found.entities).decision();
    if (decision(&wide), decision(&narrow)) != (Decision::Allow, Decision::Deny) {
        return Err(fault("its counterexample is none"));
    }
    match asker.take_trace().asked {
        2 => Ok(()),
        _ => Err(fault("it was not asked both questions")),
    }
}

fn parse(text: &str) -> Result<PolicySet, Fault> {
    text.parse().map_err(Fault::rules)
}
