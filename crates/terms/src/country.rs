//! Countries by ISO 3166-1 alpha-2 code.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::text::spelled;

/// The officially assigned codes, in order.
const ASSIGNED: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The text is not an assigned country code.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an assigned ISO 3166-1 alpha-2 country code, such as `US`")]
pub struct BadCountry(pub String);

/// A country, by its officially assigned ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// The United States of America.
    pub const US: Self = Self(*b"US");

    /// Parses two capital letters that are an assigned code.
    ///
    /// # Errors
    ///
    /// [`BadCountry`] if they are not.
    pub fn parse(text: &str) -> Result<Self, BadCountry> {
        let bad = || BadCountry(text.chars().take(16).collect());
        let code: [u8; 2] = text.as_bytes().try_into().map_err(|_| bad())?;
        if is_assigned(code) { Ok(Self(code)) } else { Err(bad()) }
    }

    /// Returns every assigned code, in order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        ASSIGNED.split(' ')
    }

    /// Returns the two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Looks a code up; each takes three bytes, the last of them a space.
fn is_assigned(code: [u8; 2]) -> bool {
    let (mut low, mut high) = (0, ASSIGNED.len().div_ceil(3));
    while low < high {
        let middle = low.midpoint(high);
        let known = ASSIGNED.as_bytes().get(middle * 3..).and_then(<[u8]>::first_chunk);
        match known.cmp(&Some(&code)) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return true,
            Ordering::Greater => high = middle,
        }
    }
    false
}

spelled!(Country);

impl FromStr for Country {
    type Err = BadCountry;
    fn from_str(text: &str) -> Result<Self, BadCountry> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Country {
    type Error = BadCountry;
    fn try_from(text: String) -> Result<Self, BadCountry> {
        Self::parse(&text)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_codes_in_capitals_are_countries() {
        assert_eq!(Country::parse("US").unwrap(), Country::US);
        for text in ["us", "XX", "USA", "", "U ", "D A", " A", "E "] {
            assert!(Country::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn of_all_pairs_of_letters_the_codes_of_the_list_are_countries_and_no_other() {
        let listed: Vec<&str> = Country::codes().collect();
        assert!(listed.is_sorted() && listed.iter().all(|code| code.len() == 2));
        let letters = || (b'A'..=b'Z').map(char::from);
        let pairs = letters().flat_map(|one| letters().map(move |other| format!("{one}{other}")));
        let found: Vec<String> = pairs.filter(|pair| Country::parse(pair).is_ok()).collect();
        assert_eq!(found, listed);
    }
}
