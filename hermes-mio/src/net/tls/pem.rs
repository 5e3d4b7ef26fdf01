//! Certificates and keys in PEM (RFC 7468), as people keep them: with a byte order mark, indented, or
//! with Windows' line ends.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// One or more certificates. `role` completes "a certificate".
pub(crate) fn certificates(pem: &[u8], role: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tidy(pem)).collect();
    let found = found
        .map_err(|error| format!("a certificate {role} can't be read: {}", explain(pem, error)))?;
    if found.is_empty() {
        return Err(match explain_encoding(pem) {
            Some(problem) => format!("a certificate {role} can't be read: {problem}"),
            None => format!("there is no certificate {role}"),
        });
    }
    Ok(found)
}

/// A private key: PKCS #8, PKCS #1 or SEC 1.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let plain = tidy(pem);
    let text = String::from_utf8_lossy(&plain);
    // PKCS #8 says so in its label, the older forms in a header.
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        let command = "openssl pkey -in KEY -out PLAIN_KEY";
        return Err(format!("the private key is encrypted; decrypt it: {command}"));
    }
    PrivateKeyDer::from_pem_slice(&plain).map_err(|error| match (error, explain_encoding(pem)) {
        (_, Some(problem)) => format!("the private key can't be read: {problem}"),
        (pem::Error::NoItemsFound, None) => "there is no private key".to_owned(),
        (error, None) => format!("the private key can't be read: {error}"),
    })
}

/// A file's bytes. The error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        let name = path.display();
        if path.is_dir() {
            return format!(
                "can't read {name}: it is a directory; name a file in PEM, which may hold any number of \
                 certificates, as made by `cat {name}/*.pem > FILE`"
            );
        }
        format!("can't read {name}: {error}")
    })
}

/// Without a byte order mark, and without white space around the lines.
fn tidy(pem: &[u8]) -> Vec<u8> {
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let lines = pem.split(|byte| *byte == b'\n');
    lines.flat_map(|line| [line.trim_ascii(), b"\n"]).flatten().copied().collect()
}

fn explain(pem: &[u8], error: pem::Error) -> String {
    explain_encoding(pem).map_or_else(|| error.to_string(), str::to_owned)
}

fn explain_encoding(pem: &[u8]) -> Option<&'static str> {
    match pem {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16, and PEM is ASCII"),
        // A SEQUENCE with a length of two bytes: all certificates and keys begin so.
        [0x30, 0x82, ..] => {
            Some("it is DER; convert it: openssl x509 -inform der, or openssl pkey")
        }
        _ => None,
    }
}
