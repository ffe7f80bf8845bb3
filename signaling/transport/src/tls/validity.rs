//! From when until when a certificate is valid (RFC 5280 §4.1.2.5). The TLS library checks it in peers' certificates but
//! does not tell it of ours, and an operator should hear of an expired one at start, not from callers.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Both ends, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// Reads it out of a DER certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (tbs, _) = value(certificate, SEQUENCE)?;
    let rest = value(tbs, VERSION).map_or(tbs, |(_, rest)| rest);
    let (_, rest) = value(rest, INTEGER)?; // serial number
    let (_, rest) = value(rest, SEQUENCE)?; // signature algorithm
    let (_, rest) = value(rest, SEQUENCE)?; // issuer
    let (validity, _) = value(rest, SEQUENCE)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(Validity { not_before, not_after })
}

/// Splits a DER value of the given tag off; what it holds, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (length, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
    if length.len() > 3 {
        return None; // 16 MB are more than a certificate has
    }
    let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if let Some((text, rest)) = value(bytes, GENERALIZED_TIME) {
        let (year, text) = text.split_at_checked(4)?;
        return Some((seconds(digits(year)?, text)?, rest));
    }
    let (text, rest) = value(bytes, UTC_TIME)?;
    let (year, text) = text.split_at_checked(2)?;
    let year = digits(year)?;
    Some((seconds(if year < 50 { 2_000 + year } else { 1_900 + year }, text)?, rest))
}

/// `MMDDHHMMSSZ` of a year.
fn seconds(year: i64, text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"Z").filter(|text| text.len() == 10)?;
    let part = |at: usize| digits(text.get(at..at + 2)?);
    let (month, day) = (part(0)?, part(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(*byte - b'0')))
}

/// Days from 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar() {
        assert_eq!(
            (days(1970, 1, 1), days(2000, 2, 29), days(2000, 3, 1), days(2100, 3, 1)),
            (0, 11_016, 11_017, 47_541)
        );
        assert_eq!(time(b"\x17\x0d491231235959Z").unwrap().0, 2_524_607_999);
        assert_eq!(time(b"\x17\x0d700101000000Z").unwrap().0, 0);
        assert_eq!(time(b"\x18\x0f20500101000000Z").unwrap().0, 2_524_608_000);
    }

    #[test]
    fn a_real_certificate_and_all_its_truncations() {
        let mut parameters = rcgen::CertificateParams::new(["a.example.com".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2001, 2, 3);
        parameters.not_after = rcgen::date_time_ymd(2061, 12, 31);
        let certificate = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        assert_eq!(of(der), Some(Validity { not_before: 981_158_400, not_after: 2_903_212_800 }));
        // Whatever a file holds, reading it ends.
        (0..der.len()).for_each(|length| assert_eq!(of(&der[..length]), None));
        for at in 0..der.len().min(200) {
            let mut broken = der.to_vec();
            broken[at] ^= 0xff;
            of(&broken);
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        for bad in [
            &b"\x17\x0d49123123595900"[..],
            b"\x17\x0d491331235959Z",
            b"\x17\x0b4912312359Z",
            b"\x18\x00",
            b"\x17\x0dxx1231235959Z",
        ] {
            assert_eq!(time(bad), None);
        }
    }
}
