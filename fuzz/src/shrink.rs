//! Making an input that breaks a parser shorter, so that a person sees why.

use crate::Input;

/// The most tries: shorter is nicer, and nobody waits for the shortest.
const TRIES_MAX: usize = 2_000;

/// A shorter input that still breaks it: pieces are left out, large ones first.
pub(crate) fn shortest(input: &Input, breaks: impl Fn(&Input) -> bool) -> Input {
    let mut best = input.clone();
    let (mut piece, mut tries) = (best.bytes.len() / 2, 0);
    while piece > 0 && tries < TRIES_MAX {
        let mut at = 0;
        while at < best.bytes.len() && tries < TRIES_MAX {
            let mut shorter = best.clone();
            shorter.bytes.drain(at..(at + piece).min(best.bytes.len()));
            tries += 1;
            if breaks(&shorter) {
                best = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_stays() {
        let input = Input { bytes: b"a long text with one x in it, and more".to_vec(), number: 3 };
        let shorter = shortest(&input, |input| input.bytes.contains(&b'x'));
        assert_eq!((shorter.bytes.as_slice(), shorter.number), (b"x".as_slice(), 3));
    }
}
