//! Makes an authority of the gateway's own and the certificate that it signs for the gateway.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::{Chain, common_name};

/// How long what is made here is good. An unattended gateway should not go silent for a date.
const YEARS: i32 = 10;
/// When it begins to be good: long ago, for machines whose clock is not set yet.
const BEGINS: i32 = 2024;

/// A certificate and its key, PEM. Not for printing.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Makes an authority of this name. `year` is that of now.
///
/// # Errors
/// In words of the library.
pub fn authority(name: &str, year: i32) -> Result<Pair, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut params = authority_params(name);
    (params.not_before, params.not_after) =
        (date_time_ymd(BEGINS, 1, 1), date_time_ymd(year.max(BEGINS) + YEARS, 1, 1));
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Makes a certificate for a server that clients reach under `names`: host names and addresses, the first one its own.
///
/// # Errors
/// When a name can't stand in a certificate, or the authority is none of those made here.
pub fn server(authority: &Pair, names: &[String], year: i32) -> Result<Pair, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    Ok(Pair { certificate: signed(authority, &key, names, year)?, key: key.serialize_pem() })
}

/// The same for a key that is there: who knows the server by its key knows it still.
///
/// # Errors
/// The same, and when the key is none that was made here.
pub fn renewed(authority: &Pair, key: &str, names: &[String], year: i32) -> Result<String, String> {
    let key = KeyPair::from_pem(key).map_err(|error| format!("the key: {error}"))?;
    signed(authority, &key, names, year)
}

fn signed(authority: &Pair, key: &KeyPair, names: &[String], year: i32) -> Result<String, String> {
    let signer = KeyPair::from_pem(&authority.key).map_err(|error| format!("the authority's key: {error}"))?;
    let Chain(chain) = Chain::read(authority.certificate.as_bytes())?;
    let signer_name = chain.first().and_then(|certificate| common_name(certificate));
    let issuer = Issuer::new(authority_params(&signer_name.ok_or("the authority has no name")?), signer);
    let mut params = CertificateParams::new(names).map_err(|error| format!("one of the names: {error}"))?;
    params.distinguished_name = named(names.first().map_or("stile", String::as_str));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) =
        (date_time_ymd(BEGINS, 1, 1), date_time_ymd(year.max(BEGINS) + YEARS, 1, 1));
    let certificate = params.signed_by(key, &issuer).map_err(|error| error.to_string())?;
    Ok(certificate.pem())
}
