//! The check of certificates, and words for its refusals.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage};

/// The system's verifier or rustls' own, with better words: a certificate that is self-signed is told
/// from one of an unknown issuer, and an intermediate that is out of date from the gateway's own.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<dyn ServerCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Intermediates that are searched for a fault. Each costs the check of some signatures.
const MAX_DEPTH: usize = 6;

impl Verifier {
    /// The system's authorities, and these.
    pub(super) fn system(
        extra: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let algorithms = provider.signature_verification_algorithms;
        let provider = Arc::clone(provider);
        let verifier = if extra.is_empty() {
            rustls_platform_verifier::Verifier::new(provider)?
        } else {
            rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)?
        };
        Ok(Verifier { inner: Arc::new(verifier), algorithms })
    }

    /// These authorities alone.
    pub(super) fn only(
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let algorithms = provider.signature_verification_algorithms;
        let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        match verifier {
            Ok(inner) => Ok(Verifier { inner, algorithms }),
            Err(error) => Err(Error::General(format!("nobody to trust: {error}"))),
        }
    }

    /// The number of the intermediate that makes a chain invalid. The certificates below it are good
    /// as long as it is trusted, so the last for which that holds is at fault. Chains come in order
    /// (RFC 8446 §4.4.2); in another one the answer is `None`, or an intermediate nearer to the
    /// gateway.
    fn faulty_intermediate(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<usize> {
        let cert = EndEntityCert::try_from(end_entity).ok()?;
        let is_good_below = |index: &usize| {
            let anchor = webpki::anchor_from_trusted_cert(&intermediates[*index]);
            let (below, usage) = (&intermediates[..*index], KeyUsage::server_auth());
            let algorithms = self.algorithms.all;
            anchor.is_ok_and(|anchor| {
                cert.verify_for_usage(algorithms, &[anchor], below, now, usage, None, None).is_ok()
            })
        };
        (0..intermediates.len().min(MAX_DEPTH)).rev().find(is_good_below)
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
        let verdict = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let other = |error: OtherError| Error::InvalidCertificate(CertificateError::Other(error));
        verdict.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
                if is_self_signed(end_entity) =>
            {
                other(OtherError(Arc::new(SelfSigned)))
            }
            Error::InvalidCertificate(
                problem @ (CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYetContext { .. }),
            ) => match self.faulty_intermediate(end_entity, intermediates, now) {
                // The gateway's own is the first.
                Some(index) => {
                    other(OtherError(Arc::new(FaultyIntermediate { number: index + 2, problem })))
                }
                None => Error::InvalidCertificate(problem),
            },
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

/// The certificate is its own issuer, and not trusted.
#[derive(Debug, thiserror::Error)]
#[error("self-signed")]
struct SelfSigned;

/// A certificate of the chain other than the first is at fault.
#[derive(Debug, thiserror::Error)]
#[error("certificate {number} of its chain: {problem}")]
struct FaultyIntermediate {
    number: usize,
    problem: CertificateError,
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|cert| cert.issuer() == cert.subject())
}

/// The error, for people.
pub(super) fn explain(error: &Error) -> Cow<'static, str> {
    match error {
        Error::InvalidCertificate(error) => explain_certificate("its certificate", error),
        Error::InvalidMessage(_) => format!("it does not speak TLS, or it is damaged: {error}"),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => return "it does not speak http/1.1 there".into(),
        Error::AlertReceived(alert) => format!("it refused: alert {alert:?}"),
        error => error.to_string(),
    }
    .into()
}

/// `subject` is the certificate at fault.
fn explain_certificate(subject: &str, error: &CertificateError) -> String {
    let date = |time: &UnixTime| {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
        // Years beyond 9999 have no such date.
        let time = time.filter(|time| *time < UNIX_EPOCH + Duration::from_secs(253_402_300_800));
        time.map_or_else(|| "a far day".to_owned(), httpdate::fmt_http_date)
    };
    match error {
        CertificateError::Expired => "its certificate has expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("{subject} expired on {}", date(not_after))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("{subject} is not valid before {}", date(not_before))
        }
        CertificateError::NotValidForName => "its certificate is for another name".into(),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate is for no name at all".into()
        }
        CertificateError::NotValidForNameContext {
            expected: ServerName::IpAddress(address),
            presented,
        } if presented.contains(&format!("DnsName(\"{}\")", IpAddr::from(*address))) => {
            let address = IpAddr::from(*address);
            format!(
                "its certificate has the address {address} as a DNS name; it must be an IP address \
                 among its subject alternative names"
            )
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
        CertificateError::Other(OtherError(error)) if error.is::<FaultyIntermediate>() => {
            error.downcast_ref().map_or_else(String::new, |it: &FaultyIntermediate| {
                let subject = format!("certificate {} of its chain, an intermediate,", it.number);
                explain_certificate(&subject, &it.problem)
            })
        }
        CertificateError::Other(OtherError(error))
            if matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            "its certificate is made to sign others (CA:TRUE), and so is no server's".into()
        }
        error => format!("its certificate is no good: {error}"),
    }
}
