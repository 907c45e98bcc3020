//! Tickets: what the meter in front of a model server asks for, and gets of no call that is not on its way into the log.

use http::HeaderValue;
use jose::{SigningFault, ticket::Ticket};
use terms::{CallId, Moment};

use crate::{Shared, forward::Submitted};

/// Mints a ticket of a submitted call for the meter whose log is `meter`; one for each attempt.
///
/// It names the opening entry by index and leaf hash; both are final before the entry is durable.
///
/// # Errors
///
/// [`SigningFault`]: the call cannot be forwarded.
pub(crate) fn mint(
    shared: &Shared,
    submitted: &impl Submitted,
    call: CallId,
    meter: &str,
) -> Result<HeaderValue, SigningFault> {
    let key = shared.ticket_key.as_ref().ok_or(SigningFault::Failed)?;
    let opened = i64::try_from(submitted.at_ms()).map_or(Moment::MAX, Moment::from_millis);
    let ticket = Ticket {
        issuer: shared.ledger.origin().to_owned(),
        audience: meter.to_owned(),
        call,
        model: submitted.permit().model().clone(),
        index: submitted.index(),
        leaf: *submitted.leaf(),
        hour: Ticket::hour_of(opened),
    };
    let token = ticket.mint(key, shared.clock.now())?;
    HeaderValue::from_str(&token).map_err(|_| SigningFault::Failed)
}
