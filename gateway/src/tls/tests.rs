//! Certificates made here and cut at every byte.

use proptest::prelude::*;
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

use super::*;

/// A certificate with these common names, DER and PEM.
fn certificate(names: &[DnValue]) -> rcgen::Certificate {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "a firm");
    for name in names {
        params.distinguished_name.push(DnType::CommonName, name.clone());
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap()
}

fn name_of(name: DnValue) -> Option<String> {
    common_name(certificate(&[name]).der())
}

#[test]
fn the_common_name_is_read_in_each_of_its_usual_forms() {
    assert_eq!(name_of(DnValue::Utf8String("Zoë".into())).as_deref(), Some("Zoë"));
    assert_eq!(name_of(DnValue::PrintableString(PrintableString::try_from("ops").unwrap())).as_deref(), Some("ops"));
    assert_eq!(name_of(DnValue::Ia5String(Ia5String::try_from("a@b").unwrap())).as_deref(), Some("a@b"));
}

#[test]
fn a_name_that_no_user_could_have_is_none() {
    assert_eq!(common_name(certificate(&[]).der()), None);
    for odd in ["", "ops\0", "a\nb", &"x".repeat(257)] {
        assert_eq!(name_of(DnValue::Utf8String(odd.into())), None, "{odd:?}");
    }
}

#[test]
fn a_certificate_that_is_cut_anywhere_gives_a_name_or_none_and_never_a_panic() {
    let whole = certificate(&[DnValue::Utf8String("ops".into())]);
    for end in 0..whole.der().len() {
        assert_eq!(common_name(&whole.der()[..end]), None, "cut at {end}");
    }
}

#[test]
fn servers_are_equal_when_they_are_made_of_the_same() {
    let make = |names: &[&str]| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let server = |(chain, key): &(String, String), clients: Option<(&str, bool)>| {
        let clients = clients.map(|(pem, required)| (Authorities::read(pem.as_bytes()).unwrap(), required));
        Server::new(Chain::read(chain.as_bytes()).unwrap(), Key::read(key.as_bytes()).unwrap(), clients).unwrap()
    };
    let (one, other) = (make(&["a"]), make(&["b"]));
    assert_eq!(server(&one, None), server(&one, None));
    assert_ne!(server(&one, None), server(&other, None));
    assert_ne!(server(&one, Some((&one.0, true))), server(&one, None));
    assert_ne!(server(&one, Some((&one.0, true))), server(&one, Some((&one.0, false))));
    assert_ne!(server(&one, Some((&one.0, true))), server(&one, Some((&other.0, true))));
}

#[test]
fn what_is_made_here_is_good_for_a_server_and_says_when_it_ends() {
    let authority = make::authority("an authority", 2026).unwrap();
    let server = make::server(&authority, &["gateway".into(), "192.0.2.7".into(), "::1".into()], 2026).unwrap();
    let chain = Chain::read(server.certificate.as_bytes()).unwrap();
    assert_eq!(chain.ends().as_deref(), Some("2036-01-01 00:00:00 UTC"));
    assert_eq!(common_name(&chain.0[0]).as_deref(), Some("gateway"));
    assert_eq!(chain.fingerprint().len(), 32 * 3 - 1);
    let key = Key::read(server.key.as_bytes()).unwrap();
    let clients = Authorities::read(authority.certificate.as_bytes()).unwrap();
    assert!(Server::new(chain, key, Some((clients, true))).is_ok());
    assert!(make::server(&authority, &["ä".into()], 2026).is_err());
    let late = Chain::read(make::authority("late", 2060).unwrap().certificate.as_bytes()).unwrap();
    assert_eq!(late.ends().as_deref(), Some("2070-01-01 00:00:00 UTC"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        common_name(&bytes);
        der::ends(&bytes);
        let _ = (Chain::read(&bytes), Key::read(&bytes), Authorities::read(&bytes));
    }

    #[test]
    fn a_certificate_with_one_byte_changed_is_read_without_a_panic(at in 0..300_usize, byte: u8) {
        let mut der = certificate(&[DnValue::Utf8String("ops".into())]).der().to_vec();
        if let Some(old) = der.get_mut(at) {
            *old = byte;
        }
        common_name(&der);
        der::ends(&der);
    }
}
