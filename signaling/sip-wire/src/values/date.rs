//! Date: the one form of RFC 1123 that SIP allows, always in GMT (RFC 3261 §20.17).

use crate::scan;
use core::fmt;

/// A date as it stands in a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SipDate {
    /// Year.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1970-01-01 was a Thursday

impl SipDate {
    /// `Sat, 13 Nov 2010 23:29:00 GMT`, and nothing else.
    pub fn parse(value: &[u8]) -> Option<SipDate> {
        let mut words = scan::trim(value).split(|b| scan::is_space(*b)).filter(|w| !w.is_empty());
        let weekday = words.next()?.strip_suffix(b",")?;
        DAYS.iter().find(|d| d.as_bytes().eq_ignore_ascii_case(weekday))?;
        let day = scan::number(words.next()?, 31)? as u8;
        let month = words.next()?;
        let month = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(month))? as u8 + 1;
        let year = words.next().filter(|y| y.len() == 4)?;
        let year = scan::number(year, 9999)? as u16;
        let mut clock = words.next()?.split(|b| *b == b':');
        let mut next = |max| clock.next().filter(|p| p.len() == 2).and_then(|p| scan::number(p, max)).map(|v| v as u8);
        let (hour, minute, second) = (next(23)?, next(59)?, next(60)?);
        let gmt = words.next()?.eq_ignore_ascii_case(b"GMT");
        let whole = gmt && day > 0 && words.next().is_none() && clock.next().is_none();
        whole.then_some(SipDate { year, month, day, hour, minute, second })
    }

    /// From seconds since 1970-01-01 00:00 UTC.
    pub fn from_unix(seconds: u64) -> SipDate {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        // Civil date from a day count: years start in March, so that the leap day is the last one.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * march_month + 2) / 5 + 1) as u8;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u8;
        let year = (year_of_era + era * 400 + u64::from(month <= 2)) as u16;
        let (hour, minute, second) = ((rest / 3_600) as u8, (rest / 60 % 60) as u8, (rest % 60) as u8);
        SipDate { year, month, day, hour, minute, second }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    pub fn to_unix(self) -> i64 {
        self.days() * 86_400 + i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    fn days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * march_month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }
}

impl fmt::Display for SipDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SipDate { year, month, day, hour, minute, second } = self;
        let weekday = DAYS[self.days().rem_euclid(7) as usize];
        let month = MONTHS[usize::from(*month).wrapping_sub(1) % 12];
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_one_form() {
        let text = "Sat, 13 Nov 2010 23:29:00 GMT";
        let date = SipDate::parse(text.as_bytes()).unwrap();
        assert_eq!(date.to_string(), text);
        assert_eq!(date.to_unix(), 1_289_690_940);
        assert_eq!(SipDate::from_unix(1_289_690_940), date);
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in (0..146_097u64).step_by(13) {
            let date = SipDate::from_unix(day * 86_400 + 86_399);
            assert_eq!(date.to_unix(), (day * 86_400 + 86_399) as i64);
            assert_eq!(SipDate::parse(date.to_string().as_bytes()), Some(date));
        }
    }

    #[test]
    fn other_zones_and_forms_are_refused() {
        for bad in
            ["Fri, 01 Jan 2010 16:00:00 EST", "Fri 01 Jan 2010 16:00:00 GMT", "", "Fri, 32 Jan 2010 16:00:00 GMT"]
        {
            assert_eq!(SipDate::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
