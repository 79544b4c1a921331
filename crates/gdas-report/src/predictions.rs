//! The answers of a test as CSV.

use gdas::Answer;
use gdas::run::TestRecord;

use super::csv::line;

/// One line per image: index, class, answer, confidence, probability of the class. `classes` are the class names.
pub fn predictions_csv(record: &TestRecord, classes: &[String]) -> String {
    let name = |class: u64| classes.get(class as usize).cloned().unwrap_or_else(|| class.to_string());
    let row = |answer: &Answer| {
        let Answer { index, label, answer, confidence, probability } = *answer;
        line([index.to_string(), name(label), name(answer), confidence.to_string(), probability.to_string()])
    };
    let head = line(["index", "class", "answer", "confidence", "probability_of_class"]);
    head + &record.answers.kept.iter().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdas::Answers;

    #[test]
    fn each_image_is_a_line() {
        let kept = vec![Answer { index: 4, label: 1, answer: 0, confidence: 0.75, probability: 0.25 }];
        let record = TestRecord { answers: Answers { kept, ..Answers::default() }, ..TestRecord::default() };
        let text = predictions_csv(&record, &["cat".into(), "a, b".into()]);
        assert_eq!(text, "index,class,answer,confidence,probability_of_class\n4,\"a, b\",cat,0.75,0.25\n");
        assert!(predictions_csv(&record, &[]).ends_with("4,1,0,0.75,0.25\n"));
    }
}
