//! Names under churn: texts are moved about, numbers are used again, nothing is mixed up.

use std::collections::BTreeMap;
use std::format;
use std::string::String;

use crate::{Fixed, Heap, Limits, Refusal, Store, Sym};

/// A sequence that looks random and is the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// Makes and forgets names of all lengths; the store is mostly nearly full.
fn churn<S: Store>(mut store: S, max_names: usize, max_bytes: usize) -> (u32, u32) {
    let mut numbers = Numbers(7);
    let mut live: BTreeMap<String, Sym> = BTreeMap::new();
    let (mut refused, mut made) = (0, 0);
    for round in 0..20_000usize {
        if numbers.below(100) < 55 {
            let text = format!("{round}{}", "x".repeat(numbers.below(60)));
            let bytes: usize = live.keys().map(String::len).sum();
            match store.intern(&text) {
                Ok(sym) => {
                    made += 1;
                    assert!(live.values().all(|s| *s != sym), "a number in use was given out again");
                    live.insert(text, sym);
                }
                Err(refusal) => {
                    refused += 1;
                    assert_eq!(refusal, Refusal::Names);
                    assert!(live.len() == max_names || bytes + text.len() > max_bytes, "there was room");
                }
            }
        } else if !live.is_empty() {
            let at = numbers.below(live.len());
            let text = live.keys().nth(at).unwrap().clone();
            let sym = live.remove(&text).unwrap();
            store.release(sym);
            assert_eq!(store.text(sym), text, "readable until it is collected");
            store.collect();
            assert_eq!(store.text(sym), "", "gone when collected");
            assert_eq!(store.find(&text), None);
        }
        if round % 50 == 0 {
            assert_eq!(store.names(), live.len());
            for (text, sym) in &live {
                assert_eq!(store.text(*sym), text);
                assert_eq!(store.find(text), Some(*sym));
            }
        }
    }
    (made, refused)
}

#[test]
fn a_fixed_arena_survives_churn() {
    let (made, refused) = churn(Fixed::<1, 24, 640, 1>::new(1), 24, 640);
    assert!(
        made > 5_000 && refused > 500,
        "{made} made, {refused} refused: the arena was not under pressure"
    );
    // Bytes run out long before names do.
    let (made, refused) = churn(Fixed::<1, 200, 512, 1>::new(1), 200, 512);
    assert!(made > 5_000 && refused > 500, "{made} made, {refused} refused");
}

#[test]
fn the_heap_survives_churn() {
    let limits = Limits { routes: 1, names: 24, attrs: 1 };
    let (made, refused) = churn(Heap::new(limits), 24, usize::MAX);
    assert!(made > 5_000 && refused > 500, "{made} made, {refused} refused");
}

fn referenced<S: Store>(mut store: S) {
    let one = store.intern("one").unwrap();
    assert_eq!(store.intern("one"), Ok(one));
    store.retain(one);
    for _ in 0..2 {
        store.release(one);
        store.collect();
        assert_eq!(store.find("one"), Some(one));
    }
    store.release(one);
    // Back into use before it was collected: the same name, the same number.
    assert_eq!(store.intern("one"), Ok(one));
    store.collect();
    assert_eq!(store.text(one), "one");
    store.release(one);
    store.collect();
    assert_eq!(store.find("one"), None);
    assert_eq!(store.names(), 0);
    assert_eq!(store.text(Sym(u32::MAX)), "");
}

#[test]
fn a_name_lives_as_long_as_it_is_referred_to() {
    referenced(Heap::new(Limits::CLOUD));
    referenced(Fixed::<1, 4, 64, 1>::new(1));
}

#[test]
fn a_text_of_255_bytes_is_the_longest_in_a_fixed_arena() {
    let mut store = Fixed::<1, 4, 1024, 1>::new(1);
    let long = "n".repeat(255);
    let sym = store.intern(&long).unwrap();
    assert_eq!(store.text(sym), long);
    assert_eq!(store.intern(&"n".repeat(256)), Err(Refusal::Names));
}
