//! People, organizations and workloads.

use clap::Subcommand;
use serde_json::{Value, json};

use super::admin::{AsCall, Call, Page, escaped};

const SCREENINGS: [&str; 5] = ["cleared", "review", "entity_listed", "denied_person", "blocked"];
const COVERAGES: [&str; 5] = ["none", "red_flag", "undetermined", "entity_list", "blocked"];

/// People.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Adds a person, without any evidence yet.
    #[command(after_help = "Example:\n  exeat person add ada --name 'Ada L.' --screening cleared")]
    Add {
        /// Their id; not a name or an address.
        id: String,
        /// What to call them, for operators only.
        #[arg(long)]
        name: String,
        /// The result of screening.
        #[arg(long, default_value = "review", value_parser = SCREENINGS)]
        screening: String,
    },
    /// Shows a person with everything attested about them.
    #[command(after_help = "Example:\n  exeat person show ada")]
    Show {
        /// Their id.
        id: String,
    },
    /// Lists people in order of id.
    #[command(after_help = "Examples:\n  exeat person list\n  exeat person list --json")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Records a new result of screening; live calls are decided again at once.
    #[command(after_help = "Example:\n  exeat person screen ada cleared")]
    Screen {
        /// Their id.
        id: String,
        /// The result.
        #[arg(value_parser = SCREENINGS)]
        screening: String,
    },
    /// Withdraws a person's access; live calls end at once.
    #[command(after_help = "Example:\n  exeat person deactivate ada")]
    Deactivate {
        /// Their id.
        id: String,
    },
}

impl AsCall for PersonCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/people";
        let one = |id: &str| format!("{PATH}/{}", escaped(id));
        Ok(match self {
            Self::Add { id, name, screening } => {
                Call::post(PATH, json!({ "id": id, "display_name": name, "screening": screening }))
            }
            Self::Show { id } => Call::get(one(id)),
            Self::List { page } => page.of(PATH, &[]),
            Self::Screen { id, screening } => Call::patch(one(id), json!({ "screening": screening })),
            Self::Deactivate { id } => Call::patch(one(id), json!({ "active": false })),
        })
    }
}

/// Organizations.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum OrganizationCommand {
    /// Adds an organization.
    #[command(
        after_help = "Example:\n  exeat organization add larkspur-labs --name 'Larkspur Labs, Inc.' --country US --kind us --screening cleared --coverage none"
    )]
    Add {
        /// Its id.
        id: String,
        /// Its legal name.
        #[arg(long)]
        name: String,
        /// Where it is incorporated: an ISO 3166-1 alpha-2 code.
        #[arg(long)]
        country: String,
        /// Where it stands under 15 CFR 772.1.
        #[arg(long, value_parser = ["us", "us_government", "foreign"])]
        kind: String,
        /// The result of screening.
        #[arg(long, default_value = "review", value_parser = SCREENINGS)]
        screening: String,
        /// What its ownership brings; what nobody computed is `undetermined`.
        #[arg(long, value_parser = COVERAGES)]
        coverage: String,
        /// It passes the model on to end users it does not identify.
        #[arg(long)]
        resells: bool,
        /// Where its ultimate parent is headquartered, or itself: an ISO 3166-1 alpha-2 code.
        #[arg(long)]
        headquarters: Option<String>,
        /// To whom it belongs, such as `northgate-grid=wholly_owned`; may be given more than once.
        #[arg(long = "tie", value_parser = tie)]
        ties: Vec<Value>,
    },
    /// Shows an organization.
    #[command(after_help = "Example:\n  exeat organization show larkspur-labs")]
    Show {
        /// Its id.
        id: String,
    },
    /// Lists organizations in order of id.
    #[command(after_help = "Example:\n  exeat organization list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Changes what is known of an organization; live calls are decided again at once.
    #[command(
        after_help = "Examples:\n  exeat organization set larkspur-labs --screening review\n  exeat organization set larkspur-labs --tie northgate-grid=wholly_owned"
    )]
    Set {
        /// Its id.
        id: String,
        /// The result of screening.
        #[arg(long, value_parser = SCREENINGS)]
        screening: Option<String>,
        /// What its ownership brings.
        #[arg(long, value_parser = COVERAGES)]
        coverage: Option<String>,
        /// Whether it passes the model on to end users it does not identify.
        #[arg(long)]
        resells: Option<bool>,
        /// Where its ultimate parent is headquartered.
        #[arg(long)]
        headquarters: Option<String>,
        /// To whom it belongs; replaces what was known.
        #[arg(long = "tie", value_parser = tie)]
        ties: Option<Vec<Value>>,
    },
}

impl AsCall for OrganizationCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/organizations";
        let one = |id: &str| format!("{PATH}/{}", escaped(id));
        Ok(match self {
            Self::Add { id, name, country, kind, screening, coverage, resells, headquarters, ties } => Call::post(
                PATH,
                present(json!({
                    "id": id, "legal_name": name, "country": country, "kind": kind,
                    "screening": screening, "coverage": coverage, "resells": resells,
                    "headquarters": headquarters, "ties": ties,
                })),
            ),
            Self::Show { id } => Call::get(one(id)),
            Self::List { page } => page.of(PATH, &[]),
            Self::Set { id, screening, coverage, resells, headquarters, ties } => Call::patch(
                one(id),
                present(json!({
                    "screening": screening, "coverage": coverage, "resells": resells,
                    "headquarters": headquarters, "ties": ties,
                })),
            ),
        })
    }
}

/// Reads `ORGANIZATION=KIND`.
fn tie(text: &str) -> Result<Value, String> {
    let kinds = ["branch", "wholly_owned", "majority_owned"];
    match text.split_once('=') {
        Some((to, kind)) if kinds.contains(&kind) => Ok(json!({ "to": to, "kind": kind })),
        _ => Err(format!("write the organization, `=` and one of {}", kinds.join(", "))),
    }
}

/// Workloads.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WorkloadCommand {
    /// Adds a workload.
    #[command(
        after_help = "Example:\n  exeat workload add nightly --purpose summaries --organization larkspur-labs --owner ada --recipient ada"
    )]
    Add {
        /// Its id.
        id: String,
        /// What it does.
        #[arg(long)]
        purpose: String,
        /// The organization it runs for.
        #[arg(long)]
        organization: String,
        /// A person who answers for it; may be repeated.
        #[arg(long = "owner", required = true)]
        owners: Vec<String>,
        /// A person who receives its output; may be repeated. None means not established.
        #[arg(long = "recipient")]
        recipients: Vec<String>,
    },
    /// Shows a workload.
    #[command(after_help = "Example:\n  exeat workload show nightly")]
    Show {
        /// Its id.
        id: String,
    },
    /// Lists workloads in order of id.
    #[command(after_help = "Example:\n  exeat workload list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Withdraws a workload's access; live calls end at once.
    #[command(after_help = "Example:\n  exeat workload deactivate nightly")]
    Deactivate {
        /// Its id.
        id: String,
    },
}

impl AsCall for WorkloadCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/workloads";
        let one = |id: &str| format!("{PATH}/{}", escaped(id));
        Ok(match self {
            Self::Add { id, purpose, organization, owners, recipients } => Call::post(
                PATH,
                json!({
                    "id": id, "purpose": purpose, "organization": organization,
                    "owners": owners, "recipients": recipients,
                }),
            ),
            Self::Show { id } => Call::get(one(id)),
            Self::List { page } => page.of(PATH, &[]),
            Self::Deactivate { id } => Call::patch(one(id), json!({ "active": false })),
        })
    }
}

/// Leaves out the fields of an object that are null.
pub(super) fn present(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}
