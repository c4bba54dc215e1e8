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
fn a_server_is_described_by_its_names_and_a_renewed_one_keeps_its_key() {
    let authority = make::authority("an authority", 2026).unwrap();
    let names = ["gateway.example", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
    let made = make::server(&authority, &names, 2026).unwrap();
    let renewed = make::renewed(&authority, &made.key, &names[1..], 2030).unwrap();
    let server = |pem: &str| {
        let (chain, key) = (Chain::read(pem.as_bytes()).unwrap(), Key::read(made.key.as_bytes()).unwrap());
        Server::new(chain, key, None).unwrap().certificate()
    };
    let (first, second) = (server(&made.certificate), server(&renewed));
    assert_eq!((first.subject.as_deref(), &first.names[..]), (Some("gateway.example"), &names[..]));
    assert_eq!((second.subject.as_deref(), &second.names[..]), (Some("192.0.2.7"), &names[1..]));
    assert_eq!(second.ends.as_deref(), Some("2040-01-01 00:00:00 UTC"));
    assert_ne!(first.fingerprint, second.fingerprint);
}

#[test]
fn a_certificate_that_is_cut_anywhere_gives_a_name_or_none_and_never_a_panic() {
    let whole = certificate(&[DnValue::Utf8String("ops".into())]);
    for end in 0..whole.der().len() {
        assert_eq!(common_name(&whole.der()[..end]), None, "cut at {end}");
        assert!(der::names(&whole.der()[..end]).len() <= 1, "cut at {end}");
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

/// Who signs, and a server of that name which he has signed.
fn signed(name: &str) -> (Vec<u8>, Server, Vec<u8>) {
    let authority = make::authority("an authority", 2026).unwrap();
    let server = make::server(&authority, &[name.to_owned()], 2026).unwrap();
    let (chain, key) = (server.certificate.as_bytes(), server.key.as_bytes());
    let der = Chain::read(chain).unwrap().0[0].to_vec();
    let server = Server::new(Chain::read(chain).unwrap(), Key::read(key).unwrap(), None).unwrap();
    (authority.certificate.as_bytes().to_vec(), server, der)
}

/// Shakes hands in memory, as `name`; gives what went wrong for the client.
fn shake(client: &Client, server: &Server, name: &str) -> Result<Agreed, String> {
    let mut near = rustls::ClientConnection::new(client.config(), server_name(name)?).unwrap();
    let mut far = rustls::ServerConnection::new(server.config()).unwrap();
    while near.is_handshaking() {
        let mut bytes = Vec::new();
        while near.wants_write() {
            near.write_tls(&mut bytes).unwrap();
        }
        far.read_tls(&mut &bytes[..]).unwrap();
        far.process_new_packets().map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while far.wants_write() {
            far.write_tls(&mut bytes).unwrap();
        }
        near.read_tls(&mut &bytes[..]).unwrap();
        let processed = near.process_new_packets().map_err(std::io::Error::other);
        processed.map_err(|error| explain(&error).unwrap())?;
    }
    Ok(agreed(&near))
}

#[test]
fn a_server_is_who_its_authority_says_for_the_name_that_was_asked_for() {
    let (authority, server, _) = signed("broker.example.org");
    let client = Client::new(Some(Authorities::read(&authority).unwrap()), None, None).unwrap();
    let agreed = shake(&client, &server, "broker.example.org").unwrap();
    assert!(agreed.version == "TLSv1_3" && agreed.ends.is_some(), "{agreed:?}");
    let wrong = shake(&client, &server, "other.example.org").unwrap_err();
    assert_eq!(wrong, "the server's certificate is for another name than that in `url`");
    let (stranger, ..) = signed("broker.example.org");
    let client = Client::new(Some(Authorities::read(&stranger).unwrap()), None, None).unwrap();
    assert!(shake(&client, &server, "broker.example.org").unwrap_err().starts_with("nobody in `ca` has signed"));
}

#[test]
fn a_pin_is_the_certificate_or_its_key_and_stands_alone_or_beside_an_authority() {
    let (authority, server, der) = signed("broker.example.org");
    let authority = || Some(Authorities::read(&authority).unwrap());
    let pins = [Pin::of(&der), Pin::of_key(&der).unwrap()];
    assert_ne!(pins[0], pins[1]);
    for pin in pins {
        let alone = Client::new(None, Some(pin), None).unwrap();
        let agreed = shake(&alone, &server, "any.name").unwrap();
        assert_eq!([agreed.certificate, agreed.key], pins.map(|pin| pin.to_string()));
        let both = Client::new(authority(), Some(pin), None).unwrap();
        assert!(shake(&both, &server, "broker.example.org").is_ok());
        assert!(shake(&both, &server, "other.example.org").is_err());
    }
    let other = Pin::parse(&"ab".repeat(32));
    for authority in [None, authority()] {
        let wrong = shake(&Client::new(authority, other, None).unwrap(), &server, "broker.example.org").unwrap_err();
        assert_eq!(wrong, format!("the server's key is not the one of `pin`; it is {}", pins[1]));
    }
    let nobody = Client::new(None, None, None).unwrap();
    assert!(shake(&nobody, &server, "broker.example.org").is_err(), "nobody is believed without a reason");
}

#[test]
fn a_pin_is_read_as_it_is_printed_and_as_openssl_prints_it() {
    let pin = Pin::parse(&format!("sha256:{}", "0f".repeat(32))).unwrap();
    assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
    assert_eq!(Pin::parse(&["0F"; 32].join(":")), Some(pin));
    for bad in ["", "sha256:", &"0f".repeat(31), &"0f".repeat(33), &"0g".repeat(32)] {
        assert_eq!(Pin::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_key_is_found_in_a_certificate_that_is_whole_and_never_a_panic_in_one_that_is_not() {
    let whole = certificate(&[DnValue::Utf8String("ops".into())]);
    assert!(Pin::of_key(whole.der()).is_some());
    for end in 0..whole.der().len() {
        assert_eq!(Pin::of_key(&whole.der()[..end]), None, "cut at {end}");
    }
}
