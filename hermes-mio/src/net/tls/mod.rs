//! TLS: its settings, the check of certificates, and streams.

pub(crate) mod pem;
mod stream;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};

pub(crate) use self::stream::{Failure, TlsStream};
use self::verify::Verifier;
use crate::Error;

/// Settings of `wss://`: the certificates to trust, and the client's own.
///
/// By default the system's certificate authorities are trusted, with those that its administrator
/// added; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, and a client can't be made if the
/// former names a file that can't be opened. A certificate is always checked against the name in the
/// URL; no setting turns that off. A gateway's self-signed certificate can be
/// [trusted](Self::trust) by itself.
///
/// PEM may have a byte order mark, and be indented. TLS 1.2 and 1.3 are spoken, with the process's
/// default [`CryptoProvider`] if it has one, otherwise with `ring`. ALPN asks for `http/1.1`. Clones
/// share their cache of TLS sessions, so that a client that reconnects resumes its TLS session; so
/// do all clients with the default settings.
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
    /// Built when it is first needed: the system has more than a hundred roots to read.
    built: Arc<OnceLock<Arc<ClientConfig>>>,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The files of both, for errors.
    files: Option<(PathBuf, PathBuf)>,
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
    /// If there is none in it, or one that can't be read.
    pub fn trust(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.extra.extend(pem::certificates(pem.as_ref(), TO_TRUST).map_err(wrong)?);
        Ok(self.rebuilt())
    }

    /// As [`trust`](Self::trust), with the certificates in a file.
    ///
    /// # Errors
    ///
    /// As `trust`, or if the file can't be read. The error names the file.
    pub fn trust_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let pem = pem::read(path).map_err(wrong)?;
        let found = pem::certificates(&pem, TO_TRUST).map_err(|problem| of_file(path, &problem))?;
        self.extra.extend(found);
        Ok(self.rebuilt())
    }

    /// Does not trust the system's authorities: only the certificates given to
    /// [`trust`](Self::trust).
    #[must_use]
    pub fn without_system(mut self) -> Self {
        self.is_system_trusted = false;
        self.rebuilt()
    }

    /// The client's own certificate, shown to any gateway that asks, also after a redirect: the chain
    /// (the certificate, then those between it and its authority) and its private key, PEM (PKCS #8,
    /// PKCS #1 or SEC 1; not encrypted).
    ///
    /// # Errors
    ///
    /// If one of them is missing, or can't be read. A key that is not the certificate's is an error
    /// when the client is made.
    pub fn identity(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        let chain = pem::certificates(chain.as_ref(), OWN).map_err(wrong)?;
        let key = pem::private_key(key.as_ref()).map_err(wrong)?;
        Ok(self.identified_by(Identity { chain, key, files: None }))
    }

    /// As [`identity`](Self::identity), with the chain and the key in files, which may be the same.
    ///
    /// # Errors
    ///
    /// As `identity`, or if a file can't be read. The error names the file.
    pub fn identity_files(
        self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let (cert, key) = (chain.as_ref(), key.as_ref());
        let files = Some((cert.to_owned(), key.to_owned()));
        let pem = pem::read(cert).map_err(wrong)?;
        let chain = pem::certificates(&pem, OWN).map_err(|problem| of_file(cert, &problem))?;
        let pem = pem::read(key).map_err(wrong)?;
        let key = pem::private_key(&pem).map_err(|problem| of_file(key, &problem))?;
        Ok(self.identified_by(Identity { chain, key, files }))
    }

    fn identified_by(mut self, identity: Identity) -> Self {
        self.identity = Some(Arc::new(identity));
        self.rebuilt()
    }

    /// Settings in rustls' form.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.built.get() {
            return Ok(Arc::clone(config));
        }
        check_environment(self.is_system_trusted)?;
        let config = self.build().map_err(|error| wrong(self.explain(&error)))?;
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
            // rustls calls any verifier dangerous that is not its own. Ours only finds better words
            // for the refusals of one that is.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key, .. }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key())?
            }
        };
        // A WebSocket begins as HTTP/1.1 (RFC 6455 §4.1).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn explain(&self, error: &rustls::Error) -> String {
        let rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) = error else {
            return error.to_string();
        };
        match self.identity.as_ref().and_then(|identity| identity.files.as_ref()) {
            None => "the private key is not that of the certificate".to_owned(),
            Some((cert, key)) => format!(
                "the key in {} is not that of the certificate in {}",
                key.display(),
                cert.display()
            ),
        }
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

/// Roles of certificates in errors.
const TO_TRUST: &str = "to trust";
const OWN: &str = "of ours";

/// The file that SSL_CERT_FILE names takes the place of the system's authorities. If it is missing
/// there may be none, and if others are trusted beside it, nothing would tell that.
fn check_environment(is_system_trusted: bool) -> Result<(), Error> {
    let is_read = cfg!(all(unix, not(target_vendor = "apple"), not(target_os = "android")));
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|_| is_system_trusted && is_read)
    else {
        return Ok(());
    };
    match std::fs::File::open(&path) {
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(format!("SSL_CERT_FILE names {}: {error}", path.display()))),
    }
}

fn of_file(path: &Path, problem: &str) -> Error {
    wrong(format!("{}: {problem}", path.display()))
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::Tls { problem: problem.into() }
}
