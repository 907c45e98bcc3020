//! What does another server say? Outbound HTTPS that reaches no address it should not, bounded in time and size.
//!
//! A tenant may tell the service which URLs to read: keys, status lists, receivers of signals. Such a URL must not
//! become a way into the network the service runs in. So every address a name resolves to is judged, and the
//! connection is made to the very address that was judged: a name that resolves differently the next moment gains
//! nothing. Redirects are not followed, compression is not offered, and proxy settings of the environment are not read.

mod address;
mod client;
mod connect;
mod fault;
mod resolve;
mod roots;
mod rule;
mod slots;
mod url;

pub use self::{
    client::{Client, Request, Response, Settings},
    fault::Fault,
    roots::{BadRoots, Roots},
    rule::{AddressRule, BadRule},
    url::{BadUrl, Url},
};
