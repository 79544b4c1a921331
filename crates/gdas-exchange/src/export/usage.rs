//! Short example programs that use an exported file.

use super::{PixelInput, PixelLayout, PixelType};

/// A Python program that classifies the image file given as its argument with the ONNX file `file`, written by
/// [`model_to_onnx`](super::model_to_onnx) with this `input`. It needs `numpy`, `onnxruntime` and `pillow`, and
/// preprocesses images like `gdas predict`.
pub fn python_usage(file: &str, input: PixelInput) -> String {
    let axes = match input.layout {
        PixelLayout::ChannelsFirst => ".transpose(0, 3, 1, 2)",
        PixelLayout::ChannelsLast => "",
    };
    let kind = match input.kind {
        PixelType::Uint8 => "uint8",
        PixelType::Float32 => "float32",
    };
    format!(
        r#"import json, sys, numpy, onnxruntime
from PIL import Image, ImageOps
network = onnxruntime.InferenceSession({file:?})
about = network.get_modelmeta().custom_metadata_map
classes, (height, width, channels) = json.loads(about["classes"]), json.loads(about["image"])
image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB" if channels == 3 else "L")
pixels = numpy.asarray(image.resize((width, height), Image.BILINEAR), "{kind}")
pixels = pixels.reshape(1, height, width, channels){axes}
probabilities = network.run(["probabilities"], {{"images": pixels}})[0][0]
print(classes[probabilities.argmax()], probabilities.max())
"#
    )
}

/// The same program in Rust, with the crates `tract-onnx`, `image` and `serde_json`. `size` is
/// `[height, width, channels]` of the images.
pub fn rust_usage(file: &str, [height, width, channels]: [usize; 3], input: PixelInput) -> String {
    let colour = if channels == 1 { "to_luma8" } else { "to_rgb8" };
    let (cast, kind) = match input.kind {
        PixelType::Uint8 => ("", "u8"),
        PixelType::Float32 => (" as f32", "f32"),
    };
    let (shape, axes) = match input.layout {
        PixelLayout::ChannelsFirst => (format!("[1, {channels}, {height}, {width}]"), "[_, c, y, x]"),
        PixelLayout::ChannelsLast => (format!("[1, {height}, {width}, {channels}]"), "[_, y, x, c]"),
    };
    let axes = axes.replace('[', "(").replace(']', ")");
    format!(
        r#"use tract_onnx::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {{
    let file = tract_onnx::onnx().proto_model_for_path({file:?})?;
    let about = file.metadata_props.iter().find(|about| about.key == "classes").ok_or("no classes")?;
    let classes: Vec<String> = serde_json::from_str(&about.value)?;
    let network = tract_onnx::onnx().model_for_proto_model(&file)?.with_input_fact(0, {kind}::fact({shape}).into())?;
    let image = image::open(std::env::args().nth(1).ok_or("which image?")?)?.{colour}();
    let image = image::imageops::resize(&image, {width}, {height}, image::imageops::FilterType::Triangle);
    let pixel = |{axes}: (usize, usize, usize, usize)| image[(x as u32, y as u32)][c]{cast};
    let pixels: Tensor = tract_ndarray::Array4::from_shape_fn({shape}, pixel).into();
    let answer = network.into_optimized()?.into_runnable()?.run(tvec!(pixels.into()))?;
    for (class, probability) in classes.iter().zip(answer[1].to_plain_array_view::<f32>()?) {{
        println!("{{class}} {{probability}}");
    }}
    Ok(())
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation and the example in `examples/onnx` show what the program prints. With `GDAS_UPDATE=1` in the
    /// environment they are rewritten.
    #[test]
    fn the_documentation_shows_these_programs() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let input = PixelInput::default();
        let (python, rust) = (python_usage("network.onnx", input), rust_usage("network.onnx", [32, 32, 3], input));
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let mut page = read("docs/export.md");
        for (fence, text) in [("```python\n", &python), ("```rust,ignore\n", &rust)] {
            let start = page.find(fence).expect("a block") + fence.len();
            let end = start + page[start..].find("```").expect("its end");
            page.replace_range(start..end, text);
        }
        for (file, text) in [("docs/export.md", page), ("examples/onnx/src/main.rs", rust)] {
            if std::env::var_os("GDAS_UPDATE").is_some() {
                std::fs::write(root.join(file), &text).expect("writable");
            }
            assert!(read(file) == text, "{file} differs from what is printed; GDAS_UPDATE=1 rewrites it");
        }
    }
}
