//! The calendar periods for which a license caps tokens.

use terms::Moment;

/// A calendar period in UTC; a cap begins anew with each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
    /// From the first of January to the first of the next.
    Year,
    /// The whole life of the license.
    Total,
}

impl Period {
    /// Returns the period as documents spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
            Self::Total => "total",
        }
    }

    /// Returns when the period that contains `at` began; the epoch for [`Period::Total`].
    #[must_use]
    pub fn start(self, at: Moment) -> Moment {
        let (year, month, day) = civil(at);
        match self {
            Self::Day => midnight(year, month, day),
            Self::Month => midnight(year, month, 1),
            Self::Year => midnight(year, 1, 1),
            Self::Total => Moment::from_millis(0),
        }
    }

    /// Returns when the next period begins; [`Moment::MAX`] for [`Period::Total`].
    #[must_use]
    pub fn end(self, at: Moment) -> Moment {
        let (year, month, _) = civil(at);
        match self {
            Self::Day => Moment::from_millis(self.start(at).as_millis().saturating_add(DAY_MS)),
            Self::Month if month == 12 => midnight(year + 1, 1, 1),
            Self::Month => midnight(year, month + 1, 1),
            Self::Year => midnight(year + 1, 1, 1),
            Self::Total => Moment::MAX,
        }
    }
}

const DAY_MS: i64 = 86_400_000;
/// Days of 400 years of the proleptic Gregorian calendar.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Returns year, month and day; years begin in March while counting, so that the leap day comes last.
fn civil(at: Moment) -> (i64, i64, i64) {
    let days = at.as_millis().div_euclid(DAY_MS) + EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn midnight(year: i64, month: i64, day: i64) -> Moment {
    let from_march = (month + 9) % 12;
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
    Moment::from_millis(days.saturating_mul(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn periods_begin_and_end_at_midnight_utc_also_over_leap_days_and_years() {
        let noon = at("2028-02-29T12:30:00Z");
        assert_eq!(Period::Day.start(noon), at("2028-02-29T00:00:00Z"));
        assert_eq!(Period::Day.end(noon), at("2028-03-01T00:00:00Z"));
        assert_eq!(Period::Month.start(noon), at("2028-02-01T00:00:00Z"));
        assert_eq!(Period::Month.end(noon), at("2028-03-01T00:00:00Z"));
        assert_eq!(Period::Year.end(at("2026-12-31T23:59:59.999Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(Period::Month.end(at("2026-12-31T23:59:59.999Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(Period::Total.end(noon), Moment::MAX);
    }

    #[test]
    fn every_day_of_four_centuries_begins_where_the_day_before_ends() {
        let mut day = at("1999-12-31T00:00:00Z");
        while day < at("2400-03-02T00:00:00Z") {
            let next = Period::Day.end(day);
            assert_eq!(Period::Day.start(next), next, "{day}");
            let text = day.to_string();
            let month = at(&format!("{}-01T00:00:00Z", text.get(..7).unwrap()));
            assert_eq!(Period::Month.start(day), month, "{day}");
            day = next;
        }
    }
}
