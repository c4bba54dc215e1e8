//! Signatures that are good, and all the ways in which they are not.

use std::collections::BTreeMap;

use super::*;

fn key() -> PrivateKey {
    PrivateKey::read(&PrivateKey::make().unwrap()).unwrap()
}

fn trusting(key: &PrivateKey) -> BTreeMap<String, PublicKey> {
    BTreeMap::from([("anna".to_owned(), key.public())])
}

fn component() -> Vec<u8> {
    wat::parse_str(r#"(component (core module (func (export "f"))) (import "stile:filter/log@1.0.0" (instance)))"#)
        .unwrap()
}

#[test]
fn a_signed_component_names_its_signer_and_is_else_what_it_was() {
    let (key, bare) = (key(), component());
    let signed = sign(&bare, &key).unwrap();
    assert_eq!(signer(&signed, &trusting(&key)), Ok(Signer::Trusted("anna".into(), key.public())));
    assert_eq!(signer(&signed, &BTreeMap::new()), Ok(Signer::Unknown(Some(key.public()))));
    assert_eq!(signer(&bare, &trusting(&key)), Ok(Signer::Nobody));
    assert_eq!(section::without(&signed).unwrap(), (&bare[..8], &bare[8..]));
    wasmparser::Validator::new().validate_all(&signed).unwrap();
}

#[test]
fn signing_again_takes_the_place_of_the_first_signature() {
    let (first, second) = (key(), key());
    let twice = sign(&sign(&component(), &first).unwrap(), &second).unwrap();
    assert_eq!(twice, sign(&component(), &second).unwrap());
    assert_eq!(signer(&twice, &trusting(&first)), Ok(Signer::Unknown(Some(second.public()))));
}

#[test]
fn a_changed_bit_anywhere_is_no_signature_of_the_key() {
    let key = key();
    let signed = sign(&component(), &key).unwrap();
    for at in 0..signed.len() {
        for bit in 0..8 {
            let mut changed = signed.clone();
            changed[at] ^= 1 << bit;
            let found = signer(&changed, &trusting(&key));
            assert!(!matches!(found, Ok(Signer::Trusted(..))), "byte {at}, bit {bit}: {found:?}");
        }
    }
}

#[test]
fn what_is_cut_off_or_added_is_noticed() {
    let key = key();
    let signed = sign(&component(), &key).unwrap();
    for length in 0..signed.len() {
        let found = signer(&signed[..length], &trusting(&key));
        assert!(!matches!(found, Ok(Signer::Trusted(..))), "{length}: {found:?}");
    }
    let longer = [&signed[..], &[0]].concat();
    assert!(signer(&longer, &trusting(&key)).unwrap_err().contains("changed after it was signed"));
}

#[test]
fn a_signature_of_one_component_is_none_of_another() {
    let key = key();
    let signed = sign(&component(), &key).unwrap();
    let length = signed.len() - (component().len() - 8);
    let other = wat::parse_str("(component)").unwrap();
    let moved = [&signed[..length], &other[8..], &[0, 2, 1, b'x']].concat();
    assert!(signer(&moved, &trusting(&key)).is_err());
}

#[test]
fn a_file_of_a_key_is_read_as_openssl_writes_it_too() {
    // RFC 8410, section 10.3.
    let text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                -----END PRIVATE KEY-----\n";
    let key = PrivateKey::read(text).unwrap();
    assert_eq!(key.public().to_string(), "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    assert_eq!(PublicKey::parse(&key.public().to_string()), Some(key.public()));
    for bad in
        ["", "text", "-----BEGIN PRIVATE KEY-----\n!\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
    {
        assert!(PrivateKey::read(bad).is_err(), "{bad}");
    }
    for bad in ["", "ed25519:", "ed25519:AAAA", "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="] {
        assert_eq!(PublicKey::parse(bad), None, "{bad}");
    }
}
