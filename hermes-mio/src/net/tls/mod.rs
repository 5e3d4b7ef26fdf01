//! TLS: whom to trust, who we are, and the streams that are spoken in it.

mod stream;
mod verify;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

pub(crate) use self::stream::{Failure, TlsStream};
use self::verify::Verifier;
use crate::Error;

/// How `wss://` is spoken: whom to trust, and who we are.
///
/// By default the system's certificate authorities are trusted, those that its administrator added
/// included; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. A certificate is always
/// checked, against the name in the URL; there is no switch for that. Who has a gateway with a
/// certificate of their own making [trusts](Self::trust) that one.
///
/// TLS 1.2 and 1.3, with the process's default [`CryptoProvider`] where it has one, and else with
/// `ring`. ALPN asks for `http/1.1`. Clones share what is known of gateways, so that a client that
/// comes back resumes its TLS session; so do all clients with the default.
///
/// ```no_run
/// use hermes_mio::{Config, Options, Tls};
///
/// let tls = Tls::new()
///     .trust(std::fs::read("our-authority.pem")?)?
///     .identity(std::fs::read("client.pem")?, std::fs::read("client.key")?)?;
/// let options = Options::new(Config::new("wss://gateway.example/")).tls(tls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    extra: Vec<CertificateDer<'static>>,
    is_system_trusted: bool,
    identity: Option<Arc<Identity>>,
    /// Made when it is first needed: the system has more than a hundred roots to read.
    built: Arc<OnceLock<Arc<ClientConfig>>>,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Tls {
    /// The defaults.
    pub fn new() -> Self {
        static SHARED: LazyLock<Tls> = LazyLock::new(|| Tls {
            extra: Vec::new(),
            is_system_trusted: true,
            identity: None,
            built: Arc::default(),
        });
        SHARED.clone()
    }

    /// Also trusts these certificates, PEM, one or more: of authorities, or a gateway's own.
    ///
    /// # Errors
    ///
    /// Where there is none in it, or one that can't be read.
    pub fn trust(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.extra.extend(certificates(pem.as_ref(), "to trust")?);
        Ok(self.rebuilt())
    }

    /// Trusts nobody but whom [`trust`](Self::trust) names.
    #[must_use]
    pub fn without_system(mut self) -> Self {
        self.is_system_trusted = false;
        self.rebuilt()
    }

    /// Who we are, to any gateway that asks, also where a redirect leads: our certificate with those
    /// between it and its authority, and its private key, PEM (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    ///
    /// Where one of them is missing, or can't be read. That they don't belong together is an error
    /// when the client is made.
    pub fn identity(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, Error> {
        let chain = certificates(chain.as_ref(), "of ours")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong("there is no private key"),
            error => wrong(format!("the private key can't be read: {error}")),
        })?;
        self.identity = Some(Arc::new(Identity { chain, key }));
        Ok(self.rebuilt())
    }

    /// What rustls makes connections from.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.built.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::clone(self.built.get_or_init(|| Arc::new(config))))
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let verifier = if self.is_system_trusted {
            Verifier::system(self.extra.clone(), &provider)?
        } else {
            let mut roots = RootCertStore::empty();
            for root in &self.extra {
                roots.add(root.clone())?;
            }
            Verifier::only(roots, &provider)?
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            // rustls calls every verifier dangerous that it did not make. Ours asks one of rustls'
            // own makers, and only finds other words for its refusal.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key())?
            }
        };
        // A WebSocket begins as HTTP/1.1 (RFC 6455 §4.1).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn rebuilt(self) -> Self {
        Tls { built: Arc::default(), ..self }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra", &self.extra.len())
            .field("is_system_trusted", &self.is_system_trusted)
            .field("has_identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found =
        found.map_err(|error| wrong(format!("a certificate {whose} can't be read: {error}")))?;
    if found.is_empty() {
        return Err(wrong(format!("there is no certificate {whose}")));
    }
    Ok(found)
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::Tls { problem: problem.into() }
}
