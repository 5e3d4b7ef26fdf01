//! Random streams of frames, good and bad: do we say what tungstenite's client says?

use hermes_tests::Rng;
use hermes_tests::ws::stream::stream;
use hermes_tests::ws::verdict::{DIFFERENCES, End, Verdict, compare};

#[test]
fn the_same_verdicts() {
    let mut met = [0; DIFFERENCES.len()];
    let mut ends = [0; 3];
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let bytes = stream(&mut rng);
        let cut = &bytes[..if rng.chance(20) { rng.below(bytes.len() + 1) } else { bytes.len() }];
        match compare(&rng.pieces(cut)) {
            Ok(Verdict::Differs(difference)) => met[difference] += 1,
            Ok(Verdict::Same(End::Open)) => ends[0] += 1,
            Ok(Verdict::Same(End::Closed(_))) => ends[1] += 1,
            Ok(Verdict::Same(End::Broken(_))) => ends[2] += 1,
            Err(problem) => panic!("seed {seed}: {problem}"),
        }
    }
    println!("{ends:?}, and {met:?} of the differences");
    assert!(ends.iter().all(|count| *count > 1_000), "a fair share of each: {ends:?}");
    assert!(met.iter().all(|count| *count > 0), "none of the differences is idle: {met:?}");
}
