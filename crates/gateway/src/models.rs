//! The models that this caller may use now, decided one by one by the same function as a call.

use bytes::Bytes;
use policy::Determination;
use terms::Moment;

use crate::{
    Problem, Worker, admit,
    authenticate::{Caller, authenticate},
    call::Incoming,
    dialect::{ModelCard, model_card, models_list},
};

/// Writes the list of every version and alias that the caller may use now.
///
/// # Errors
///
/// [`Problem::Unauthenticated`].
pub(crate) async fn list(worker: &Worker, incoming: &Incoming) -> Result<Bytes, Problem> {
    let caller = authenticate(worker.shared(), incoming).await?;
    let snapshot = worker.shared().snapshot.load();
    let document = snapshot.document();
    let aliases = document.aliases.iter().map(|alias| alias.name.as_str());
    let versions = document.models.iter().map(|model| model.id.as_str());
    let permitted = aliases.chain(versions).filter(|name| may(worker, &caller, name));
    let cards: Vec<ModelCard> = permitted.map(card).collect();
    Ok(models_list(incoming.route.dialect, &cards))
}

/// Writes the card of one version or alias.
///
/// # Errors
///
/// [`Problem::Unauthenticated`]; [`Problem::ModelUnknown`] also for one that exists and that the caller may not
/// use: the list is of what they may use, and this is one line of it.
pub(crate) async fn one(worker: &Worker, incoming: &Incoming, id: &str) -> Result<Bytes, Problem> {
    let caller = authenticate(worker.shared(), incoming).await?;
    match may(worker, &caller, id) {
        true => Ok(model_card(incoming.route.dialect, &card(id))),
        false => Err(Problem::ModelUnknown { name: id.to_owned() }),
    }
}

fn may(worker: &Worker, caller: &Caller, name: &str) -> bool {
    let decided = admit::decide(worker, caller, name);
    decided.is_ok_and(|decided| matches!(decided.resolution.determination, Determination::Permit(_)))
}

/// The moment of a version's release to callers is not kept; both dialects want one, so all share the epoch.
fn card(id: &str) -> ModelCard {
    ModelCard { id: id.to_owned(), created: Moment::from_millis(0) }
}
