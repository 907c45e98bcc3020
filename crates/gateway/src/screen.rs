//! The synchronous verdict of monitoring, on the prompt before it is forwarded and on output before it is relayed.
//!
//! Nothing monitors yet: the seam is here so that a monitor can be put in without a new path around it.

use std::fmt;

use policy::Permit;
use terms::CallId;

use crate::dialect::Problem;

/// What a monitor says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Stop, with a stable code that caller and record both see: none of the policy's, which did not decide it.
    Stop(&'static str),
}

/// Looks at prompts and output while they pass. Called on the data path: must not block.
pub trait Monitor: Send + Sync + fmt::Debug {
    /// Gives a verdict on a request body, as it will be forwarded.
    fn prompt(&self, call: CallId, permit: &Permit, body: &[u8]) -> Verdict;

    /// Gives a verdict on one chunk of output: a whole stream event, or a whole body that is not streamed.
    fn output(&self, call: CallId, chunk: &[u8]) -> Verdict;
}

/// The monitor that passes everything.
#[derive(Clone, Copy, Debug)]
pub struct Unmonitored;

impl Monitor for Unmonitored {
    fn prompt(&self, _: CallId, _: &Permit, _: &[u8]) -> Verdict {
        Verdict::Pass
    }

    fn output(&self, _: CallId, _: &[u8]) -> Verdict {
        Verdict::Pass
    }
}

/// Screens a permitted prompt: the monitor's verdict, and whether every obligation can be met.
///
/// # Errors
///
/// [`Problem::PermissionDenied`] if the monitor stops it, or if the permit carries an obligation that this
/// gateway cannot meet yet: what cannot be done must refuse.
pub(crate) fn screen(monitor: &dyn Monitor, call: CallId, permit: &Permit, body: &[u8]) -> Result<(), Problem> {
    if let Some(obligation) = permit.obligations().first() {
        let message = format!("the permit demands {obligation:?}, which this gateway cannot do yet");
        return Err(Problem::PermissionDenied { code: "obligation_unmet", message, hold: false });
    }
    match monitor.prompt(call, permit, body) {
        Verdict::Pass => Ok(()),
        Verdict::Stop(code) => {
            let message = "the prompt was stopped by monitoring".to_owned();
            Err(Problem::PermissionDenied { code, message, hold: false })
        }
    }
}
