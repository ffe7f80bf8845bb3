use crate::reader::{Reader, integer, strings};
use std::fmt;
use std::time::Duration;
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
    /// As phones show it.
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

    /// As SIP spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// Its key in a user's table, and the digits of its hash.
    const fn key(self) -> (&'static str, usize) {
        match self {
            Self::Md5 => ("md5", 32),
            Self::Sha256 => ("sha256", 64),
            Self::Sha512_256 => ("sha512_256", 64),
        }
    }
}

const REALMS: &str = "must be a table of at most 64 realms, each a table of users (100000 in all) with a password, or with \
                      { md5 = \"32 hexadecimal digits\", sha256 = \"64\", sha512_256 = \"64\" }; names and passwords \
                      have 1 to 256 bytes, names no quotes";
const METHODS: &str =
    "must be a list of at most 16 different methods in capital letters, ACK and CANCEL not among them";
const ALGORITHMS: &str = r#"must be a list of different algorithms out of "SHA-512-256", "SHA-256", "MD5""#;
const IDENTITIES: &str =
    "must be a table of realms, each a table of users with a list of at most 64 user parts, URIs or \"*\"";
const AGENTS: &str = "must be a list of at most 64 beginnings of User-Agent";
const QOP: &str = r#"must be a list out of "auth", "auth-int""#;

impl Auth {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "auth";
        let qop = reader.get(section, "qop", QOP, |value| {
            let list = strings(value).filter(|list| !list.is_empty())?;
            let known = list.iter().all(|word| matches!(*word, "auth" | "auth-int"));
            known.then(|| (list.contains(&"auth"), list.contains(&"auth-int")))
        });
        let life = "must be a whole number from 10 to 86400";
        Self {
            realms: reader.get(section, "realms", REALMS, realms),
            default_realm: reader.get(section, "default_realm", "must be the name of a realm, or empty", |value| {
                value.as_str().map(|name| (!name.is_empty()).then(|| name.to_owned()))
            }),
            methods: reader.get(section, "methods", METHODS, methods),
            algorithms: reader.get(section, "algorithms", ALGORITHMS, algorithms),
            md5_only_agents: reader.get(section, "md5_only_agents", AGENTS, |value| {
                let list = strings(value).filter(|list| list.len() <= 64)?;
                list.iter().all(|name| is_name(name)).then(|| list.into_iter().map(str::to_owned).collect())
            }),
            auth: qop.0,
            auth_int: qop.1,
            nonce_life: Duration::from_secs(
                reader.get(section, "nonce_life_s", life, |value| integer(value, 10..=86_400)),
            ),
            identities: reader.get(section, "identities", IDENTITIES, identities),
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

fn realms(value: &DeValue<'_>) -> Option<Vec<Realm>> {
    let table = value.as_table().filter(|table| table.len() <= REALM_COUNT_MAX)?;
    let user = |name: &str, value: &DeValue<'_>| {
        Some(AuthUser { name: is_name(name).then(|| name.to_owned())?, secret: secret(value)? })
    };
    let realm = |name: &str, value: &DeValue<'_>| {
        let users = value.as_table()?.iter().map(|(name, value)| user(name.get_ref(), value.get_ref()));
        Some(Realm { name: is_name(name).then(|| name.to_owned())?, users: users.collect::<Option<_>>()? })
    };
    let all: Option<Vec<Realm>> = table.iter().map(|(name, value)| realm(name.get_ref(), value.get_ref())).collect();
    all.filter(|all| all.iter().map(|realm| realm.users.len()).sum::<usize>() <= USER_COUNT_MAX)
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte >= b' ' && byte != 0x7f && !b"\"\\".contains(&byte);
    (1..=TEXT_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

fn secret(value: &DeValue<'_>) -> Option<UserSecret> {
    if let Some(password) = value.as_str() {
        let sound = (1..=TEXT_BYTES_MAX).contains(&password.len());
        return sound.then(|| UserSecret::Password(password.to_owned()));
    }
    let table = value.as_table().filter(|table| !table.is_empty())?;
    let one = |key: &str, value: &DeValue<'_>| {
        let algorithm = AuthAlgorithm::ALL.into_iter().find(|algorithm| algorithm.key().0 == key)?;
        let hash = value.as_str().filter(|hash| hash.len() == algorithm.key().1)?;
        hash.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| (algorithm, hash.to_ascii_lowercase()))
    };
    let hashes = table.iter().map(|(key, value)| one(key.get_ref(), value.get_ref()));
    hashes.collect::<Option<_>>().map(UserSecret::Hashes)
}

fn identities(value: &DeValue<'_>) -> Option<Vec<UserIdentities>> {
    let table = value.as_table().filter(|table| table.len() <= REALM_COUNT_MAX)?;
    let mut all = Vec::new();
    for (realm, users) in table {
        for (user, names) in users.get_ref().as_table()? {
            let names = strings(names.get_ref()).filter(|names| names.len() <= IDENTITY_COUNT_MAX)?;
            let (realm, user) = (realm.get_ref().to_string(), user.get_ref().to_string());
            if !names.iter().all(|name| is_name(name)) || all.len() >= USER_COUNT_MAX {
                return None;
            }
            all.push(UserIdentities { realm, user, names: names.into_iter().map(str::to_owned).collect() });
        }
    }
    Some(all)
}

fn methods(value: &DeValue<'_>) -> Option<Vec<String>> {
    let list = strings(value).filter(|list| list.len() <= 16)?;
    let sound = |method: &&str| {
        let known = !matches!(*method, "ACK" | "CANCEL" | "");
        known && method.len() <= 32 && method.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    different(&list).then_some(())?;
    list.iter().all(sound).then(|| list.iter().map(|method| (*method).to_owned()).collect())
}

fn algorithms(value: &DeValue<'_>) -> Option<Vec<AuthAlgorithm>> {
    let known = |name: &str| AuthAlgorithm::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
    let list = strings(value)?.into_iter().map(known).collect::<Option<Vec<_>>>()?;
    (!list.is_empty() && different(&list)).then_some(list)
}

fn different<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().all(|(index, item)| !list[..index].contains(item))
}
