//! Attestations and affiliations.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use terms::{Clock, Moment, SystemClock};

use super::{
    admin::{AsCall, Call, Page, escaped},
    parties::present,
};

const LIMBS: [&str; 6] =
    ["citizen", "national", "lawful_permanent_resident", "temporary_resident", "refugee", "asylee"];

/// Who states something, where the evidence is, and for how long it is good.
#[derive(Clone, Debug, Args)]
pub(crate) struct Evidence {
    /// Who states it.
    #[arg(long)]
    issuer: String,
    /// Where the issuer keeps the evidence; never the evidence itself.
    #[arg(long)]
    evidence: String,
    /// When it was stated (RFC 3339); now unless given.
    #[arg(long, value_parser = Moment::parse)]
    at: Option<Moment>,
    /// For how many days it is good; at most 731.
    #[arg(long, default_value_t = 365)]
    days: u64,
}

impl Evidence {
    fn from(&self) -> Moment {
        self.at.unwrap_or_else(|| SystemClock::default().now())
    }

    fn until(&self) -> Moment {
        self.from().plus(Duration::from_hours(self.days.saturating_mul(24)))
    }
}

/// What is stated: exactly one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Claim {
    /// The person is a U.S. person by this limb of 15 CFR 772.1.
    #[arg(long, value_parser = LIMBS)]
    us_person: Option<String>,
    /// The person is within none of the limbs of 15 CFR 772.1.
    #[arg(long)]
    foreign_person: bool,
    /// The person is a citizen of this country.
    #[arg(long, value_name = "COUNTRY")]
    citizenship: Option<String>,
    /// The person is a permanent resident of this country.
    #[arg(long, value_name = "COUNTRY")]
    residency: Option<String>,
    /// The person is now in this country.
    #[arg(long, value_name = "COUNTRY")]
    location: Option<String>,
}

impl Claim {
    fn json(&self, method: &str) -> Value {
        let of =
            |kind: &str, country: &String| json!({ "kind": kind, "country": country, "from": null, "until": null });
        if let Some(limb) = &self.us_person {
            return json!({ "kind": "us_person", "limb": limb });
        }
        if let Some(country) = &self.citizenship {
            return of("citizenship", country);
        }
        if let Some(country) = &self.residency {
            return of("permanent_residency", country);
        }
        match &self.location {
            Some(country) => json!({ "kind": "location", "country": country, "method": method }),
            None => json!({ "kind": "foreign_person" }),
        }
    }
}

/// Attestations.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AttestationCommand {
    /// Adds an attestation.
    #[command(
        after_help = "Examples:\n  exeat attestation add --person ada --us-person citizen --issuer proofing-desk --evidence 'case 1041' --assurance ial2\n  exeat attestation add --person minh --location US --method managed --issuer larkspur-it --evidence 'device 77' --assurance ial2 --days 30"
    )]
    Add {
        /// Whom it is about.
        #[arg(long)]
        person: String,
        #[command(flatten)]
        claim: Box<Claim>,
        /// How a location was established.
        #[arg(long, default_value = "declared", value_parser = ["declared", "managed", "network"])]
        method: String,
        /// How well it was proofed (NIST SP 800-63A).
        #[arg(long, value_parser = ["none", "ial1", "ial2", "ial3"])]
        assurance: String,
        #[command(flatten)]
        evidence: Box<Evidence>,
        /// The attestation it replaces.
        #[arg(long)]
        supersedes: Option<String>,
    },
    /// Lists attestations.
    #[command(after_help = "Example:\n  exeat attestation list --person ada")]
    List {
        /// Of this person only.
        #[arg(long)]
        person: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Withdraws an attestation that no longer holds and that no other replaces.
    #[command(after_help = "Example:\n  exeat attestation withdraw att-1041 --reason 'the passport was reported lost'")]
    Withdraw {
        /// Its id.
        id: String,
        /// Why, in the issuer's words.
        #[arg(long)]
        reason: String,
    },
}

impl AsCall for AttestationCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/attestations";
        Ok(match self {
            Self::Add { person, claim, method, assurance, evidence, supersedes } => Call::post(
                PATH,
                present(json!({
                    "person": person, "claim": claim.json(method), "assurance": assurance,
                    "issuer": evidence.issuer, "evidence": evidence.evidence, "supersedes": supersedes,
                    "issued_at": evidence.from().to_string(), "expires_at": evidence.until().to_string(),
                })),
            ),
            Self::List { person, page } => page.of(PATH, &[("person", person.as_deref())]),
            Self::Withdraw { id, reason } => {
                Call::post(format!("{PATH}/{}/withdraw", escaped(id)), json!({ "reason": reason }))
            }
        })
    }
}

/// Affiliations.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AffiliationCommand {
    /// Adds an affiliation.
    #[command(
        after_help = "Example:\n  exeat affiliation add --person minh --organization larkspur-labs --engagement employee --issuer larkspur-hr --evidence 'roster 2026-06'"
    )]
    Add {
        /// Who.
        #[arg(long)]
        person: String,
        /// For whom.
        #[arg(long)]
        organization: String,
        /// In what capacity.
        #[arg(long, value_parser = ["employee", "regular_employee", "contractor", "intern"])]
        engagement: String,
        #[command(flatten)]
        evidence: Box<Evidence>,
    },
    /// Lists affiliations.
    #[command(after_help = "Example:\n  exeat affiliation list --person minh")]
    List {
        /// Of this person only.
        #[arg(long)]
        person: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Ends an affiliation; live calls are decided again at once.
    #[command(
        after_help = "Examples:\n  exeat affiliation end aff-minh\n  exeat affiliation end aff-minh --at 2026-06-30T00:00:00Z"
    )]
    End {
        /// Its id.
        id: String,
        /// When (RFC 3339); now unless given.
        #[arg(long, value_parser = Moment::parse)]
        at: Option<Moment>,
    },
}

impl AsCall for AffiliationCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/affiliations";
        Ok(match self {
            Self::Add { person, organization, engagement, evidence } => Call::post(
                PATH,
                json!({
                    "person": person, "organization": organization, "engagement": engagement,
                    "issuer": evidence.issuer, "evidence": evidence.evidence,
                    "attested_at": evidence.from().to_string(), "ends_at": evidence.until().to_string(),
                }),
            ),
            Self::List { person, page } => page.of(PATH, &[("person", person.as_deref())]),
            Self::End { id, at } => {
                let at = at.map(|at| at.to_string());
                Call::post(format!("{PATH}/{}/end", escaped(id)), present(json!({ "ends_at": at })))
            }
        })
    }
}
