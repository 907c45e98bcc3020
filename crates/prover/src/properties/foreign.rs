//! I1: no foreign or unattested person passes a directive except under a license that names it.
//!
//! # Source
//! 15 CFR 734.13(a)(2) and 772.1; whom each document bars and whom it names.

use super::{Claim, Fault, Property, Rulebook, Session, permits};
use crate::{assume, bounds, session::Heading};

const GATE: &str = "nobody passes whom the documents bar, foreign and unattested persons above all, except under a \
    license that the snapshot names for that directive and family";
const SERVE: &str = "no model that a directive controls has a legal basis beside the directive's";
const CONTROLLED: &str = "context.controlled && !resource.published";

pub(super) async fn settle(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Vec<Property>, Fault> {
    let mut properties = vec![no_basis_beside(session, book).await?];
    for gate in &book.gates {
        let heading = Heading { id: "I1", title: GATE, about: book.name(gate) };
        let assumed = assume::about_gate(book, gate)?;
        let asked = book.asked_of(gate);
        let property = session.settle(heading, async |asker| {
            let bound = permits(&bounds::of_gate(book, gate)?)?;
            let claim = Claim {
                book,
                shape: &book.release_shape,
                claim: &asked,
                bound: &bound,
                assumed: &assumed,
                gate: Some(gate),
                before: None,
            };
            claim.settle(asker, "nobody but those whom the documents let through").await
        });
        properties.push(property.await?);
    }
    Ok(properties)
}

async fn no_basis_beside(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Property, Fault> {
    let heading = Heading { id: "I1", title: SERVE, about: "every model".to_owned() };
    let assumed = assume::serve_question(CONTROLLED)?;
    let work =
        async |asker: &mut _| super::nobody_is_served(asker, book, &assumed, &[], "no basis for serving it").await;
    session.settle(heading, work).await
}
