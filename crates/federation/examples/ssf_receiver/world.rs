//! A control plane with one employer, and the receiver over it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use control::{Actor, Control, Federation, NewOrganization, Role};
use federation::{KeyCache, KeyTerms, Receiver, ReceiverParts, Vault};
use fetch::{AddressRule, Client, Roots};
use terms::{Clock, Country, Coverage, OrganizationId, OrganizationKind, Screening, SystemClock};

use crate::common;
use crate::observe::Calls;

/// Whose people transmitters may speak about.
pub(crate) const EMPLOYER: &str = "larkspur-labs";

/// Everything that the example serves.
pub(crate) struct World {
    pub(crate) receiver: Receiver,
    pub(crate) federation: Federation,
    pub(crate) calls: Arc<Calls>,
    pub(crate) secrets: PathBuf,
    _control: Control,
}

impl World {
    /// Opens the control plane in a folder, or makes one there.
    pub(crate) fn open(folder: &Path, url: &str) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let control = control(folder, &clock)?;
        let calls = Arc::new(Calls::new(control.directory(), Arc::clone(&clock)));
        control.attach(Arc::<Calls>::clone(&calls));
        let secrets = folder.join("secrets");
        std::fs::create_dir_all(&secrets).context("cannot make a folder")?;
        let vault = folder.join("vault");
        std::fs::create_dir_all(&vault).context("cannot make a folder")?;
        let client = Client::new(fetch::Settings::new(Roots::native()?, AddressRule::allowing(["127.0.0.1"])?));
        let terms = KeyTerms { retry_after: Duration::from_secs(1), ..KeyTerms::default() };
        let receiver = Receiver::new(ReceiverParts {
            federation: control.federation(),
            client: client.clone(),
            keys: KeyCache::new(client, clock, terms),
            vault: Arc::new(Vault::open(&vault)?),
            secrets: secrets.clone(),
            base_url: url.to_owned(),
        });
        Ok(Self { receiver, federation: control.federation(), calls, secrets, _control: control })
    }
}

fn control(folder: &Path, clock: &Arc<dyn Clock>) -> Result<Control> {
    let control = common::control(folder, Arc::clone(clock))?;
    employ(&control)?;
    Ok(control)
}

/// Adds the employer, unless it is there.
fn employ(control: &Control) -> Result<()> {
    let id = OrganizationId::parse(EMPLOYER)?;
    if control.federation().read(|view| view.organization(&id))?.is_some() {
        return Ok(());
    }
    control.admin(&Actor::process("example", Role::Root)).registrar()?.add_organization(NewOrganization {
        id,
        legal_name: "Larkspur Labs, Inc.".to_owned(),
        country: Country::US,
        kind: OrganizationKind::Us,
        screening: Screening::Cleared,
        coverage: Coverage::None,
        resells: false,
        headquarters: None,
        ties: Vec::new(),
    })?;
    Ok(())
}
