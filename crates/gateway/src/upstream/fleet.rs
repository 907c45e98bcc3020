//! All upstreams, shared by all threads and swapped whole when settings change.

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::Arc, time::Instant};

use terms::{Dialect, ModelVersionId};

use super::{
    SendError,
    choose::{Tried, Upstream},
    endpoint::{ApiKey, Attempt, Definition, Endpoint},
    health::HealthState,
    trust::Trust,
};
use crate::config::{Checked, CheckedUpstream, EndpointSettings};

/// The fleet cannot be made; one in force stays in force.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub(crate) struct FleetError {
    /// The place in the settings.
    pub(crate) at: String,
    /// What is wrong and what to do.
    pub(crate) why: String,
}

/// All upstreams.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    upstreams: BTreeMap<ModelVersionId, Upstream>,
}

/// How one endpoint fares, for `/readyz` and metrics.
#[derive(Clone, Debug)]
pub(crate) struct EndpointStatus {
    pub(crate) model: ModelVersionId,
    /// Without any credential.
    pub(crate) url: String,
    pub(crate) state: HealthState,
    pub(crate) in_flight: usize,
    /// Calls sent to it since it was configured as it is.
    pub(crate) served: u64,
}

/// Reads what the settings point to, each file once.
#[derive(Default)]
struct Reader {
    trusts: BTreeMap<Option<PathBuf>, Trust>,
}

impl Fleet {
    /// Makes the fleet of the settings: reads keys and certificate authorities, connects to nothing.
    ///
    /// # Errors
    ///
    /// [`FleetError`] for the first key or file that cannot be used.
    pub(crate) fn new(settings: &Checked) -> Result<Self, FleetError> {
        Self::default().renewed(settings)
    }

    /// Makes the fleet of new settings. Endpoints about which nothing changed stay the same, with their health, their
    /// connections and the calls they carry.
    ///
    /// # Errors
    ///
    /// [`FleetError`] for the first key or file that cannot be used; keep using this fleet.
    pub(crate) fn renewed(&self, settings: &Checked) -> Result<Self, FleetError> {
        let mut reader = Reader::default();
        let mut upstreams = BTreeMap::new();
        for (n, upstream) in settings.upstreams().iter().enumerate() {
            let definitions = reader.definitions(n, upstream)?;
            let endpoints = definitions.into_iter().map(|made_of| self.keep_or_make(made_of)).collect();
            upstreams.insert(upstream.settings.model.clone(), Upstream::new(endpoints));
        }
        Ok(Self { upstreams })
    }

    /// Returns true if some endpoint of `model` speaks `dialect`.
    pub(crate) fn serves(&self, model: &ModelVersionId, dialect: Dialect) -> bool {
        let upstream = self.upstreams.get(model);
        upstream.is_some_and(|upstream| upstream.endpoints.iter().any(|endpoint| endpoint.speaks(dialect)))
    }

    /// Returns how every endpoint fares, in order of model and settings.
    pub(crate) fn status(&self) -> Vec<EndpointStatus> {
        let now = Instant::now();
        self.endpoints().map(|endpoint| EndpointStatus::of(endpoint, now)).collect()
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.upstreams.values().flat_map(|upstream| &upstream.endpoints)
    }

    pub(super) fn choose(&self, model: &ModelVersionId, dialect: Dialect, tried: &Tried) -> Result<Attempt, SendError> {
        match self.upstreams.get(model) {
            Some(upstream) => upstream.choose(model, dialect, tried, Instant::now()),
            None => Err(SendError::NoEndpoint { model: model.clone(), dialect }),
        }
    }

    fn keep_or_make(&self, made_of: Definition) -> Arc<Endpoint> {
        let same = self.endpoints().find(|endpoint| endpoint.made_of == made_of);
        same.map_or_else(|| Arc::new(Endpoint::new(made_of)), Arc::clone)
    }
}

impl EndpointStatus {
    fn of(endpoint: &Endpoint, now: Instant) -> Self {
        Self {
            model: endpoint.model().clone(),
            url: endpoint.url().to_string(),
            state: endpoint.health.state(now),
            in_flight: endpoint.in_flight(),
            served: endpoint.served(),
        }
    }
}

impl Reader {
    fn definitions(&mut self, n: usize, upstream: &CheckedUpstream) -> Result<Vec<Definition>, FleetError> {
        let mut rules = upstream.settings.clone();
        // What the other endpoints are says nothing about this one.
        rules.endpoints.clear();
        let mut made_of = Vec::new();
        for (m, endpoint) in upstream.endpoints.iter().enumerate() {
            let at = || format!("upstreams[{n}].endpoints[{m}]");
            let key = api_key(&endpoint.settings).map_err(|why| FleetError { at: at(), why })?;
            let trust = match endpoint.url.tls {
                true => Some(self.trust(&rules.ca_file).map_err(|why| FleetError { at: at(), why })?),
                false => None,
            };
            made_of.push(Definition { upstream: rules.clone(), endpoint: endpoint.clone(), key, trust });
        }
        Ok(made_of)
    }

    fn trust(&mut self, ca_file: &Option<PathBuf>) -> Result<Trust, String> {
        if let Some(trust) = self.trusts.get(ca_file) {
            return Ok(trust.clone());
        }
        let trust = match ca_file {
            Some(path) => Trust::of_file(path)?,
            None => Trust::native()?,
        };
        self.trusts.insert(ca_file.clone(), trust.clone());
        Ok(trust)
    }
}

fn api_key(settings: &EndpointSettings) -> Result<Option<ApiKey>, String> {
    let text = match (&settings.api_key_env, &settings.api_key_file) {
        (Some(name), _) => env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))?,
        (None, Some(path)) => {
            let at = path.display();
            fs::read_to_string(path).map_err(|error| format!("cannot read `{at}`: {error}"))?
        }
        (None, None) => return Ok(None),
    };
    let key = ApiKey::parse(&text).ok_or("the API key is empty or has characters that no header can carry")?;
    Ok(Some(key))
}
