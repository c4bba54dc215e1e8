//! `export!`: makes a component of a filter.

/// Makes a component of a filter: `export!(Deadband);`, or `export!(Deadband, timed);` for one whose
/// [`tick`](crate::Filter::tick) is to be called.
///
/// `manifest.json` beside `Cargo.toml` goes into the component as the section `stile:manifest`. A test that comes with
/// this line holds it against the filter; `UPDATE_MANIFEST=1 cargo test` writes it anew.
#[macro_export]
macro_rules! export {
    ($filter:ty) => {
        $crate::export!(@common $filter);

        const _: () = assert!(
            <$filter as $crate::Filter>::TICK.is_none(),
            "a filter with a TICK is exported with `timed` behind its name"
        );
    };
    ($filter:ty, timed) => {
        $crate::export!(@common $filter);

        const _: () = assert!(<$filter as $crate::Filter>::TICK.is_some(), "a timed filter needs a TICK");

        #[cfg(target_family = "wasm")]
        const _: () = {
            impl $crate::guest::timed::exports::stile::filter::timer::Guest for Exported {
                fn tick(now: u64) -> Result<Vec<$crate::guest::types::Draft>, $crate::guest::types::Error> {
                    FILTER.with(|slot| slot.tick(now))
                }
            }
            $crate::guest::timed::export_timer!(Exported with_types_in $crate::guest::timed);
        };
    };
    (@common $filter:ty) => {
        #[cfg(target_family = "wasm")]
        struct Exported;

        #[cfg(target_family = "wasm")]
        thread_local! {
            static FILTER: $crate::guest::Slot<$filter> = const { $crate::guest::Slot::empty() };
        }

        #[cfg(target_family = "wasm")]
        const _: () = {
            const TEXT: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.json"));

            #[used]
            #[unsafe(link_section = "stile:manifest")]
            static MANIFEST: [u8; TEXT.len()] = *TEXT.first_chunk().unwrap();

            impl $crate::guest::bindings::exports::stile::filter::filter::Guest for Exported {
                fn configure(setup: $crate::guest::types::Setup) -> Result<(), $crate::guest::types::Error> {
                    FILTER.with(|slot| slot.configure(&setup))
                }

                fn process(
                    messages: Vec<$crate::guest::types::Message>,
                ) -> Result<Vec<$crate::guest::types::Decision>, $crate::guest::types::Error> {
                    FILTER.with(|slot| slot.process(messages))
                }
            }
            $crate::guest::bindings::export_filter!(Exported with_types_in $crate::guest::bindings);
        };

        #[cfg(test)]
        #[test]
        fn the_manifest_is_that_of_the_filter() {
            $crate::manifest::hold::<$filter>(
                env!("CARGO_MANIFEST_DIR"),
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_DESCRIPTION"),
            );
        }
    };
}
