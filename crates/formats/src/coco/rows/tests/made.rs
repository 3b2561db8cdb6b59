//! COCO files made from a seed, in the ways that programs write them and in wilder ones.

/// A value with the order of its fields.
#[derive(Clone)]
pub(super) enum Node {
    Raw(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// As Python's `json.dump` does.
    Dumped,
    /// With `separators=(",", ":")`.
    Compact,
    /// With `indent=2`.
    Indented,
    /// White space, order of fields and fields that nobody knows at random.
    Wild,
}

impl Style {
    pub(super) const ALL: [Style; 4] = [Self::Dumped, Self::Compact, Self::Indented, Self::Wild];
}

/// Numbers from a seed (Marsaglia, "Xorshift RNGs", 2003).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub(super) fn share(&mut self) -> f64 {
        self.below(1 << 52) as f64 / (1u64 << 52) as f64
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }

    fn pick<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

/// An instances file and a results file for it.
pub(super) fn files(seed: u64, style: Style) -> (Vec<u8>, Vec<u8>) {
    let dice = &mut Dice::new(seed);
    let images = image_ids(dice);
    let n_classes = 1 + dice.below(4);
    let classes: Vec<String> = (0..n_classes).map(|k| (k * (1 + seed as usize % 40)).to_string()).collect();
    let truth = truth(dice, style, &images, &classes);
    let n_found = dice.below(9);
    let found = (0..n_found).map(|_| detection(dice, style, &images, &classes)).collect();
    (written(dice, style, &truth), written(dice, style, &Node::List(found)))
}

fn image_ids(dice: &mut Dice) -> Vec<String> {
    let n = 1 + dice.below(5);
    let start = [0, 1, 139, 1 << 31, -7, i64::MAX - 99][dice.below(6)];
    let step = 1 + dice.below(19) as i64;
    let mut ids: Vec<String> = (0..n as i64).map(|i| (start + step * i).to_string()).collect();
    if dice.below(3) == 0 {
        ids.extend(["\"a\"", "\"b/c.jpg\"", "\"\\u00fc \\\"\"", "\"\"", "\"7\""].map(str::to_owned));
    }
    dice.shuffle(&mut ids);
    ids
}

fn truth(dice: &mut Dice, style: Style, images: &[String], classes: &[String]) -> Node {
    let images_list = images.iter().map(|id| image(dice, style, id)).collect();
    let n_labels = dice.below(9);
    let labels = (0..n_labels).map(|i| label(dice, style, i, images, classes)).collect();
    let named = classes.iter().zip(["cat", "d\\u00f6g \\\"x\\\"", "vélo", "x y"]);
    let categories = named
        .map(|(id, name)| object(dice, style, &[("id", id.clone()), ("name", format!("\"{name}\""))]))
        .collect();
    let mut fields = vec![
        ("info".to_owned(), Node::Raw("{\"year\": 2017, \"n\": [1, [], {}, null]}".to_owned())),
        ("images".to_owned(), Node::List(images_list)),
        ("annotations".to_owned(), Node::List(labels)),
        ("categories".to_owned(), Node::List(categories)),
    ];
    dice.shuffle(&mut fields);
    Node::Object(fields)
}

fn image(dice: &mut Dice, style: Style, id: &str) -> Node {
    let mut fields = vec![("id", id.to_owned()), ("file_name", "\"a.jpg\"".to_owned())];
    if dice.below(3) != 0 {
        fields.push(("width", (1 + dice.below(2000)).to_string()));
        fields.push(("height", (1 + dice.below(2000)).to_string()));
    }
    object(dice, style, &fields)
}

fn label(dice: &mut Dice, style: Style, i: usize, images: &[String], classes: &[String]) -> Node {
    let mut fields = vec![
        ("image_id", images[dice.below(images.len())].clone()),
        ("category_id", classes[dice.below(classes.len())].clone()),
        ("bbox", four(dice)),
    ];
    match dice.below(4) {
        0 => {}
        1 => fields.push(("id", format!("\"label {i}\""))),
        2 => fields.push(("id", (900_100_000_000 - i).to_string())),
        _ => fields.push(("id", i.to_string())),
    }
    if dice.below(3) != 0 {
        fields.push(("area", number(dice)));
        fields.push(("iscrowd", dice.pick(&["0", "1", "true", "false"]).to_owned()));
    }
    if dice.below(3) == 0 {
        fields.push(("segmentation", format!("[[{}, {}], []]", number(dice), number(dice))));
    }
    object(dice, style, &fields)
}

fn detection(dice: &mut Dice, style: Style, images: &[String], classes: &[String]) -> Node {
    let score = dice.share();
    let score = match dice.below(5) {
        0 => format!("{score:e}"),
        1 => format!("{score:.3}"),
        2 => dice.pick(&["0", "1", "1.0", "-0.0", "5e-324", "1e-05"]).to_owned(),
        _ => score.to_string(),
    };
    let fields = [
        ("image_id", images[dice.below(images.len())].clone()),
        ("category_id", classes[dice.below(classes.len())].clone()),
        ("bbox", four(dice)),
        ("score", score),
    ];
    object(dice, style, &fields)
}

fn four(dice: &mut Dice) -> String {
    let comma = dice.pick(&[", ", ",", " , "]);
    let x = format!("{}{}", dice.pick(&["", "-"]), number(dice));
    format!("[{x}{comma}{}{comma}{}{comma}{}]", number(dice), number(dice), number(dice))
}

/// A number of at least 0.
fn number(dice: &mut Dice) -> String {
    let value = dice.share() * 700.0;
    match dice.below(7) {
        0 => (value as u32).to_string(),
        1 => format!("{value:.1}"),
        2 => format!("{value:e}"),
        3 => value.to_string(),
        4 => dice.pick(&["0", "0.0", "1e2", "12345678", "1234567.8", "0.000001", "99999999.25"]).to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// Values of fields that nobody knows.
const ODD: [&str; 7] = [
    "\"}, {\"",
    "{\"image_id\": [1, {}]}",
    "[{\"bbox\": 1}, {\"image_id\": 2}]",
    "null",
    "-1e400",
    "\"\\\\\"",
    "[true, \"é\"]",
];

fn object(dice: &mut Dice, style: Style, fields: &[(&str, String)]) -> Node {
    let mut fields: Vec<(String, Node)> =
        fields.iter().map(|(key, text)| ((*key).to_owned(), Node::Raw(text.clone()))).collect();
    if style == Style::Wild {
        for (i, text) in ODD.iter().enumerate() {
            if dice.below(6) == 0 {
                fields.push((format!("x{i}"), Node::Raw((*text).to_owned())));
            }
        }
        dice.shuffle(&mut fields);
    }
    Node::Object(fields)
}

fn written(dice: &mut Dice, style: Style, node: &Node) -> Vec<u8> {
    let mut out = String::new();
    write(dice, style, node, 1, &mut out);
    out.into_bytes()
}

fn write(dice: &mut Dice, style: Style, node: &Node, depth: usize, out: &mut String) {
    let (brackets, entries): (_, Vec<(Option<&String>, &Node)>) = match node {
        Node::Raw(text) => return out.push_str(text),
        Node::List(list) => (["[", "]"], list.iter().map(|node| (None, node)).collect()),
        Node::Object(fields) => (["{", "}"], fields.iter().map(|(key, node)| (Some(key), node)).collect()),
    };
    out.push_str(brackets[0]);
    for (i, (key, node)) in entries.iter().enumerate() {
        if 0 < i {
            gap(dice, style, out, "", 0);
            out.push(',');
        }
        gap(dice, style, out, if i == 0 { "" } else { " " }, depth);
        if let Some(key) = key {
            out.push_str(&format!("\"{key}\""));
            gap(dice, style, out, "", 0);
            out.push(':');
            gap(dice, style, out, " ", 0);
        }
        write(dice, style, node, depth + 1, out);
    }
    gap(dice, style, out, "", if entries.is_empty() { 0 } else { depth - 1 });
    out.push_str(brackets[1]);
}

/// White space; `plain` is what `json.dump` writes, and an indented file has a new line where there is a depth.
fn gap(dice: &mut Dice, style: Style, out: &mut String, plain: &str, depth: usize) {
    match style {
        Style::Compact => {}
        Style::Indented if 0 < depth => {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
        Style::Dumped | Style::Indented => out.push_str(plain),
        Style::Wild => out.push_str(dice.pick(&["", "", " ", "\n", "\t \r\n", "           "])),
    }
}
