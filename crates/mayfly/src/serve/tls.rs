//! Certificates of the public listener: read at the start, and anew when the file changes, without
//! a connection lost.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate in force.
#[derive(Debug)]
pub(super) struct Certificate {
    files: (PathBuf, PathBuf),
    key: RwLock<Arc<CertifiedKey>>,
    read_at: RwLock<Option<SystemTime>>,
}

impl Certificate {
    /// Reads the chain and the key.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate or key.
    pub(super) fn open(files: (PathBuf, PathBuf)) -> anyhow::Result<Arc<Self>> {
        let read_at = RwLock::new(changed(&files));
        let key = RwLock::new(read(&files)?);
        Ok(Arc::new(Self { files, key, read_at }))
    }

    /// What listeners need: TLS 1.2 and 1.3; HTTP/2 and 1.1.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(config)
    }

    /// Takes a changed certificate; one that cannot be read changes nothing.
    pub(super) fn refresh(&self) {
        let now = changed(&self.files);
        let mut read_at = self.read_at.write().unwrap_or_else(PoisonError::into_inner);
        if *read_at == now {
            return;
        }
        *read_at = now;
        match read(&self.files) {
            Ok(key) => {
                *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
                tracing::info!("the certificate was read anew");
            }
            Err(error) => tracing::error!(%error, "the changed certificate is not used"),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read((chain, key): &(PathBuf, PathBuf)) -> anyhow::Result<Arc<CertifiedKey>> {
    let of = |path: &PathBuf| format!("http.tls_certificate, http.tls_key: {}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .with_context(|| of(chain))?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| of(key))?;
    let provider = ring::default_provider();
    let key = CertifiedKey::from_der(certificates, private, &provider).with_context(|| of(key))?;
    Ok(Arc::new(key))
}

/// When the younger of the two files was changed.
fn changed((chain, key): &(PathBuf, PathBuf)) -> Option<SystemTime> {
    let at = |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    at(chain).max(at(key))
}
