//! Certificates: who checks them, and what is said about one that is no good.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, SignatureScheme,
};
use webpki::EndEntityCert;

/// The system's verifier, or rustls' own, which also tells a certificate that is self-signed from
/// one of an unknown issuer.
#[derive(Debug)]
pub(super) struct Verifier(Arc<dyn ServerCertVerifier>);

impl Verifier {
    /// The system's authorities, and these.
    pub(super) fn system(
        extra: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let provider = Arc::clone(provider);
        let verifier = if extra.is_empty() {
            rustls_platform_verifier::Verifier::new(provider)?
        } else {
            rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)?
        };
        Ok(Verifier(Arc::new(verifier)))
    }

    /// These authorities alone.
    pub(super) fn only(
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        match verifier {
            Ok(verifier) => Ok(Verifier(verifier)),
            Err(error) => Err(Error::General(format!("nobody to trust: {error}"))),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| match error {
                Error::InvalidCertificate(CertificateError::UnknownIssuer)
                    if is_self_signed(end_entity) =>
                {
                    let why = OtherError(Arc::new(SelfSigned));
                    Error::InvalidCertificate(CertificateError::Other(why))
                }
                error => error,
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

/// The certificate names itself as its issuer, and nobody trusts it for that.
#[derive(Debug, thiserror::Error)]
#[error("self-signed")]
struct SelfSigned;

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|cert| cert.issuer() == cert.subject())
}

/// What went wrong, for people.
pub(super) fn explain(error: &Error) -> Cow<'static, str> {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::InvalidMessage(_) => format!("it does not speak TLS, or it is damaged: {error}"),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => return "it does not speak http/1.1 there".into(),
        Error::AlertReceived(alert) => format!("it refused: alert {alert:?}"),
        error => error.to_string(),
    }
    .into()
}

fn explain_certificate(error: &CertificateError) -> String {
    let date = |time: &UnixTime| {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
        // Years beyond 9999 have no such date.
        let time = time.filter(|time| *time < UNIX_EPOCH + Duration::from_secs(253_402_300_800));
        time.map_or_else(|| "a far day".to_owned(), httpdate::fmt_http_date)
    };
    match error {
        CertificateError::Expired => "its certificate has expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", date(not_after))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", date(not_before))
        }
        CertificateError::NotValidForName => "its certificate is for another name".into(),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate is for no name at all".into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // As rustls writes them: `DnsName("a.example")`.
            let plain = |name: &'_ String| {
                let name = name.strip_prefix("DnsName(\"").unwrap_or(name);
                name.strip_suffix("\")").unwrap_or(name).to_owned()
            };
            let names: Vec<String> = presented.iter().map(plain).collect();
            format!("its certificate is for another name: {}", names.join(", "))
        }
        CertificateError::UnknownIssuer => {
            "its certificate is from an issuer that is not trusted".into()
        }
        CertificateError::Revoked => "its certificate was revoked".into(),
        CertificateError::Other(OtherError(error)) if error.is::<SelfSigned>() => {
            "its certificate is self-signed, and not trusted".into()
        }
        CertificateError::Other(OtherError(error))
            if matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            "its certificate is made to sign others (CA:TRUE), and so is no server's".into()
        }
        error => format!("its certificate is no good: {error}"),
    }
}
