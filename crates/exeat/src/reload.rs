//! Reading the configuration again: checked completely, then put in force whole, or not at all.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use control::{Control, Effect};
use gateway::Gateway;
use policy::{Snapshot, SnapshotDocument};

use crate::{
    config::{self, Meant},
    logging,
};

/// Reads the configuration of a running server again.
pub(crate) struct Reloader {
    path: PathBuf,
    in_force: Arc<Mutex<Meant>>,
    control: Control,
    gateway: Arc<Gateway>,
    level: logging::Level,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Reloads the file at `path` into a running server.
    pub(crate) fn new(
        path: PathBuf,
        in_force: Arc<Mutex<Meant>>,
        control: Control,
        gateway: Arc<Gateway>,
        level: logging::Level,
    ) -> Self {
        Self { path, in_force, control, gateway, level }
    }

    /// Reloads because of SIGHUP; the outcome is logged.
    pub(crate) fn by_signal(&self) {
        match control::Reload::reload(self) {
            Ok(effect) => {
                tracing::info!(examined = effect.examined, recalled = effect.recalled, "configuration reloaded")
            }
            Err(faults) => {
                for fault in faults {
                    tracing::error!(%fault, "configuration not reloaded; the old one stays in force whole");
                }
            }
        }
    }

    /// Brings both planes to `new`. A crash in between leaves the file as the truth for the next start.
    fn put_in_force(&self, old: &Meant, new: &Meant) -> Result<Effect, Vec<String>> {
        self.compiles(new)?;
        self.settings(new)?;
        let (models, aliases, lab) = (new.models.clone(), new.aliases.clone(), new.lab.clone());
        self.control.reconfigure(models, aliases, lab).map_err(|fault| {
            // The settings of a moment ago were in force, so they are accepted again.
            let back = self.settings(old).err().unwrap_or_default();
            [vec![fault.to_string()], back].concat()
        })
    }

    fn settings(&self, meant: &Meant) -> Result<(), Vec<String>> {
        let checked = meant.settings.clone().check().map_err(|faults| words(&faults))?;
        self.gateway.reload(checked).map_err(|error| vec![error.to_string()])
    }

    /// Compiles what would be in force, so that nothing is touched if it does not.
    fn compiles(&self, new: &Meant) -> Result<(), Vec<String>> {
        let now = self.control.snapshot();
        let mut document = SnapshotDocument {
            lab: new.lab.clone(),
            models: new.models.clone(),
            aliases: new.aliases.clone(),
            ..now.document().clone()
        };
        document.models.sort_by(|a, b| a.id.cmp(&b.id));
        document.aliases.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot::compile(document).map(drop).map_err(|faults| words(&faults))
    }
}

impl control::Reload for Reloader {
    fn reload(&self) -> Result<Effect, Vec<String>> {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let new = config::load(&self.path)
            .map_err(|problems| problems.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
        let fixed = fixed_but_changed(&in_force, &new);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        let effect = self.put_in_force(&in_force, &new)?;
        self.level.set(&new.log.level);
        *in_force = new;
        Ok(effect)
    }
}

/// Names every setting that differs and cannot change while the server runs.
fn fixed_but_changed(old: &Meant, new: &Meant) -> Vec<String> {
    // Every field stands here: one that is new must be put in force by a reload, or be among those that are fixed.
    let Meant {
        settings,
        control,
        data_dir,
        lab: _,
        models: _,
        meters,
        counters,
        aliases: _,
        desk,
        proofs,
        outbound,
        federation,
        ledger,
        timestamps,
        witnesses,
        mirrors,
        cosigning,
        lake,
        retention,
        siem,
        log,
    } = old;
    let fixed = [
        ("server.listen", settings.listen == new.settings.listen),
        ("server.tls", settings.tls == new.settings.tls),
        ("server.workers", settings.workers == new.settings.workers),
        ("control", *control == new.control),
        ("data_dir", *data_dir == new.data_dir),
        ("desk", *desk == new.desk),
        ("proofs", *proofs == new.proofs),
        ("outbound", *outbound == new.outbound),
        ("federation", *federation == new.federation),
        ("ledger", *ledger == new.ledger),
        ("meters", *meters == new.meters),
        ("counters", *counters == new.counters),
        ("lake", *lake == new.lake),
        ("retention", *retention == new.retention),
        ("timestamps", *timestamps == new.timestamps),
        ("witnesses", *witnesses == new.witnesses),
        ("mirrors", *mirrors == new.mirrors),
        ("cosigning", *cosigning == new.cosigning),
        ("siem", *siem == new.siem),
        ("log.format", log.format == new.log.format),
    ];
    let changed = fixed.iter().filter(|(_, same)| !same);
    changed
        .map(|(key, _)| format!("`{key}` cannot change without a restart: restart, or put the old value back"))
        .collect()
}

fn words<T: fmt::Display>(faults: &[T]) -> Vec<String> {
    faults.iter().map(T::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(change: impl Fn(String) -> String) -> Meant {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exeat.toml");
        std::fs::write(&path, change(config::EXAMPLE.to_owned())).unwrap();
        let mut meant = config::load_with(&path, std::iter::empty()).unwrap();
        meant.data_dir = meant.data_dir.strip_prefix(dir.path()).unwrap().to_owned();
        meant
    }

    #[test]
    fn what_is_bound_at_the_start_is_refused_by_name_and_all_of_it_at_once() {
        let old = meant(|text| text);
        let new = meant(|text| {
            let text = text.replace("127.0.0.1:8080", "127.0.0.1:8090").replace("127.0.0.1:8081", "127.0.0.1:8091");
            text.replace("data_dir = \"exeat-data\"", "data_dir = \"other\"")
                .replace("exeat/1", "exeat/2")
                .replace("approvals = 2", "approvals = 1")
                .replace("# [cosigning]", "[cosigning]")
                .replace("# ml_dsa_44 = false", "ml_dsa_44 = true")
        });
        let faults = fixed_but_changed(&old, &new).join("\n");
        for key in ["server.listen", "control", "data_dir", "desk", "ledger", "cosigning"] {
            assert!(faults.contains(&format!("`{key}`")), "{key}: {faults}");
        }
    }

    #[test]
    fn models_limits_and_the_level_may_change() {
        let new = meant(|text| {
            let text = text.replace("mythos.example.com", "mythos2.example.com");
            text.replace("in_flight = 4096", "in_flight = 9000").replace("level = \"info\"", "level = \"debug\"")
        });
        assert_eq!(fixed_but_changed(&meant(|text| text), &new), Vec::<String>::new());
    }
}
