//! One certificate of ours with its key, checked before anybody sees it.

use super::{TlsError, pem, validity};
use crate::config::CertificateFiles;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) expires: SystemTime,
}

impl Certificate {
    pub(super) fn load(files: &CertificateFiles, provider: &CryptoProvider, now: SystemTime) -> Result<Self, TlsError> {
        let chain = pem::certificates(&files.chain)?;
        let key = pem::private_key(&files.key)?;
        let malformed = |why: String| TlsError::Malformed { path: files.chain.clone(), why };
        let validity = chain.first().and_then(|own| validity::of(own));
        let validity = validity.ok_or_else(|| malformed("no period of validity found".to_owned()))?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| TlsError::Malformed { path: files.key.clone(), why: error.to_string() })?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            // `Unknown`: the kind of key does not tell; a handshake will.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(TlsError::KeyMismatch { chain: files.chain.clone(), key: files.key.clone() });
            }
            Err(error) => return Err(malformed(error.to_string())),
        }
        check_time(files, &validity, now)?;
        let expires = UNIX_EPOCH + Duration::from_secs(validity.not_after.max(0).unsigned_abs());
        Ok(Self { key: Arc::new(key), expires })
    }
}

fn check_time(files: &CertificateFiles, validity: &validity::Validity, now: SystemTime) -> Result<(), TlsError> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).cast_signed();
    let path = files.chain.clone();
    if now > validity.not_after {
        return Err(TlsError::Expired { path, days: now.abs_diff(validity.not_after) / 86_400 });
    }
    if now < validity.not_before {
        return Err(TlsError::NotYetValid { path, seconds: now.abs_diff(validity.not_before) });
    }
    Ok(())
}
