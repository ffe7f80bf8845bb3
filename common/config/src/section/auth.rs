use crate::reading::place::Faults;
use crate::reading::reader::{List, Reader, integer};
use crate::reading::suggest::{did_you_mean, either};
use std::fmt;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// Most realms.
const REALM_COUNT_MAX: usize = 64;
/// Most users of all realms together.
const USER_COUNT_MAX: usize = 100_000;
/// Most other names of one user.
const IDENTITY_COUNT_MAX: usize = 64;
/// Longest name or password.
const TEXT_BYTES_MAX: usize = 256;

/// `[auth]`: who may use the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    /// Realms with their users; without any nobody is asked.
    pub realms: Vec<Realm>,
    /// The realm of requests that name none; `None`: the first.
    pub default_realm: Option<String>,
    /// Methods that need credentials outside of dialogs.
    pub methods: Vec<String>,
    /// What we challenge with, in this order.
    pub algorithms: Vec<AuthAlgorithm>,
    /// Beginnings of User-Agent that get the MD5 challenge alone.
    pub md5_only_agents: Vec<String>,
    /// Offer `qop=auth`.
    pub auth: bool,
    /// Offer `qop=auth-int`.
    pub auth_int: bool,
    /// How long a nonce is good.
    pub nonce_life: Duration,
    /// Other names of users.
    pub identities: Vec<UserIdentities>,
    /// Wrong passwords of one user from one address before further ones have to wait; 0: they never do.
    pub slow_down_after: u32,
}

/// What a user may be called beside its own name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserIdentities {
    /// The realm.
    pub realm: String,
    /// The username.
    pub user: String,
    /// User parts, whole URIs, or `*` for any.
    pub names: Vec<String>,
}

/// A realm and its users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Realm {
    /// The realm as phones show it.
    pub name: String,
    /// Its users.
    pub users: Vec<AuthUser>,
}

/// A user and what proves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthUser {
    /// The username of the credentials.
    pub name: String,
    /// The secret.
    pub secret: UserSecret,
}

/// A password, or what is kept instead of it. It never shows what it holds.
#[derive(Clone, PartialEq, Eq)]
pub enum UserSecret {
    /// The password: good for every algorithm.
    Password(String),
    /// H(user:realm:password) in lower-case hexadecimal, by algorithm.
    Hashes(Vec<(AuthAlgorithm, String)>),
}

/// A digest algorithm of RFC 8760.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthAlgorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512, cut to 256 bits.
    Sha512_256,
}

impl fmt::Debug for UserSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Hashes(_) => "Hashes(..)",
        })
    }
}

impl UserSecret {
    /// Whether it can prove credentials of that algorithm.
    pub fn is_for(&self, algorithm: AuthAlgorithm) -> bool {
        match self {
            Self::Password(_) => true,
            Self::Hashes(hashes) => hashes.iter().any(|(kept, _)| *kept == algorithm),
        }
    }
}

impl AuthAlgorithm {
    const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Sha512_256];

    /// The algorithm as SIP spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// Its key in a user's table, and the digits of its hash.
    pub(crate) const fn key(self) -> (&'static str, usize) {
        match self {
            Self::Md5 => ("md5", 32),
            Self::Sha256 => ("sha256", 64),
            Self::Sha512_256 => ("sha512_256", 64),
        }
    }
}

const REALMS: &str = "must be a table of at most 64 realms, each a table of users, 100000 in all";
const SECRET: &str = "must be a password of 1 to 256 bytes, or a table of hashes { md5 = \"32 hexadecimal digits\", \
                      sha256 = \"64\", sha512_256 = \"64\" }";
const NAME: &str =
    "has a name that is empty, longer than 256 bytes, or has quotes, backslashes or control characters in it";
const METHODS: &str =
    "must be a list of at most 16 different methods in capital letters, ACK and CANCEL not among them";
const ALGORITHMS: &str = r#"must be a list of different algorithms out of "SHA-512-256", "SHA-256", "MD5""#;
const IDENTITIES: &str =
    "must be a table of realms, each a table of users with a list of at most 64 user parts, URIs or \"*\"";
const AGENTS: &str = "must be a list of at most 64 beginnings of User-Agent";
const QOP: &str = r#"must be a list out of "auth", "auth-int""#;
/// Methods that credentials may be asked for (RFC 3261 §22, and the RFCs of the others).
const KNOWN_METHODS: [&str; 12] = [
    "INVITE",
    "REGISTER",
    "SUBSCRIBE",
    "REFER",
    "MESSAGE",
    "PUBLISH",
    "OPTIONS",
    "NOTIFY",
    "INFO",
    "UPDATE",
    "BYE",
    "PRACK",
];

impl Auth {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "auth";
        let life = "must be a whole number from 10 to 86400";
        let list = |count, whole| List { count, whole };
        let qop = reader.list(section, "qop", &list(1..=2, QOP), |word| match word {
            "auth" | "auth-int" => Ok(word.to_owned()),
            _ => Err(format!("must be \"auth\" or \"auth-int\"{}", did_you_mean(word, ["auth", "auth-int"]))),
        });
        let agent = |name: &str| is_name(name).then(|| name.to_owned()).ok_or_else(|| NAME.to_owned());
        Self {
            realms: reader.entries(section, "realms", REALMS, realms),
            default_realm: reader.get(section, "default_realm", "must be the name of a realm, or empty", |value| {
                value.as_str().map(|name| (!name.is_empty()).then(|| name.to_owned()))
            }),
            methods: reader.list(section, "methods", &list(0..=16, METHODS), method),
            algorithms: reader.list(section, "algorithms", &list(1..=3, ALGORITHMS), algorithm),
            md5_only_agents: reader.list(section, "md5_only_agents", &list(0..=64, AGENTS), agent),
            auth: qop.iter().any(|word| word == "auth"),
            auth_int: qop.iter().any(|word| word == "auth-int"),
            nonce_life: Duration::from_secs(
                reader.get(section, "nonce_life_s", life, |value| integer(value, 10..=86_400)),
            ),
            identities: reader.entries(section, "identities", IDENTITIES, identities),
            slow_down_after: reader.get(section, "slow_down_after", "must be a whole number from 0 to 1000", |value| {
                integer(value, 0..=1_000).map(|count| count as u32)
            }),
        }
    }

    /// Whether anybody is asked for credentials.
    pub fn is_on(&self) -> bool {
        !self.realms.is_empty()
    }
}

fn realms(value: &DeValue<'_>, faults: &mut Faults) -> Option<Vec<Realm>> {
    let table = value.as_table().filter(|table| table.len() <= REALM_COUNT_MAX)?;
    let mut all = Vec::with_capacity(table.len());
    let mut user_count = 0;
    for (realm, users) in table {
        let name: &str = realm.get_ref();
        if !is_name(name) {
            faults.add(realm.span(), &[name], NAME);
        }
        let Some(table) = users.get_ref().as_table() else {
            faults.add(users.span(), &[name], "must be a table of users, such as { alice = \"password\" }");
            continue;
        };
        user_count += table.len();
        let user = |(user, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let user: &std::borrow::Cow<'_, str> = user.get_ref();
            if !is_name(user) {
                faults.add(value.span(), &[name, user], NAME);
            }
            let secret = secret(value, &[name, user], faults)?;
            Some(AuthUser { name: user.to_string(), secret })
        };
        all.push(Realm { name: name.to_owned(), users: table.iter().filter_map(user).collect() });
    }
    (user_count <= USER_COUNT_MAX).then_some(all)
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte >= b' ' && byte != 0x7f && !b"\"\\".contains(&byte);
    (1..=TEXT_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// A password or hashes; what is wrong with them is said without showing them.
fn secret(value: &Spanned<DeValue<'_>>, path: &[&str], faults: &mut Faults) -> Option<UserSecret> {
    if let Some(password) = value.get_ref().as_str().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len())) {
        return Some(UserSecret::Password(password.to_owned()));
    }
    let Some(table) = value.get_ref().as_table().filter(|table| !table.is_empty()) else {
        faults.add(value.span(), path, SECRET);
        return None;
    };
    let names = AuthAlgorithm::ALL.map(|algorithm| algorithm.key().0);
    let mut hashes = Vec::new();
    for (key, hash) in table {
        let key: &str = key.get_ref();
        let path = [path, &[key]].concat();
        let Some(algorithm) = AuthAlgorithm::ALL.into_iter().find(|algorithm| algorithm.key().0 == key) else {
            let hint = did_you_mean(key, names);
            faults.add(hash.span(), &path, format!("is no kind of hash; there are md5, sha256 and sha512_256{hint}"));
            continue;
        };
        let digits = algorithm.key().1;
        let found = hash.get_ref().as_str().unwrap_or_default();
        if found.len() == digits && found.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            hashes.push((algorithm, found.to_ascii_lowercase()));
        } else {
            let count = found.chars().count();
            let what = if count == digits { "others among them".to_owned() } else { format!("has {count}") };
            let allowed = format!("must be {digits} hexadecimal digits, {what}: the hash of user:realm:password");
            faults.add(hash.span(), &path, allowed);
        }
    }
    Some(UserSecret::Hashes(hashes))
}

fn identities(value: &DeValue<'_>, faults: &mut Faults) -> Option<Vec<UserIdentities>> {
    let table = value.as_table().filter(|table| table.len() <= REALM_COUNT_MAX)?;
    let mut all = Vec::new();
    for (realm, users) in table {
        let realm: &str = realm.get_ref();
        let Some(table) = users.get_ref().as_table() else {
            faults.add(users.span(), &[realm], "must be a table of users, such as { alice = [\"+493012\"] }");
            continue;
        };
        for (user, names) in table {
            let (user, at): (&str, _) = (user.get_ref(), names.span());
            let list = names.get_ref().as_array().filter(|list| list.len() <= IDENTITY_COUNT_MAX);
            let Some(list) = list else {
                faults.add(at, &[realm, user], "must be a list of at most 64 user parts, URIs or \"*\"");
                continue;
            };
            let mut names = Vec::with_capacity(list.len());
            for item in list.iter() {
                match item.get_ref().as_str().filter(|name| is_name(name)) {
                    Some(name) => names.push(name.to_owned()),
                    None => faults.add(item.span(), &[realm, user], "must be a user part, a whole URI, or \"*\""),
                }
            }
            all.push(UserIdentities { realm: realm.to_owned(), user: user.to_owned(), names });
        }
    }
    (all.len() <= USER_COUNT_MAX).then_some(all)
}

fn method(name: &str) -> Result<String, String> {
    if matches!(name, "ACK" | "CANCEL") {
        return Err("cannot be asked for credentials (RFC 3261 section 22.1); take it out".to_owned());
    }
    if (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(name.to_owned());
    }
    Err(format!("must be a method in capital letters{}", did_you_mean(name, KNOWN_METHODS)))
}

fn algorithm(name: &str) -> Result<AuthAlgorithm, String> {
    let names = AuthAlgorithm::ALL.map(AuthAlgorithm::name);
    let found = AuthAlgorithm::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("must be {}{}", either(&names), did_you_mean(name, names)))
}
