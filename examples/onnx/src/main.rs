use tract_onnx::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = tract_onnx::onnx().proto_model_for_path("network.onnx")?;
    let about = file.metadata_props.iter().find(|about| about.key == "classes").ok_or("no classes")?;
    let classes: Vec<String> = serde_json::from_str(&about.value)?;
    let network = tract_onnx::onnx().model_for_proto_model(&file)?.with_input_fact(0, u8::fact([1, 3, 32, 32]).into())?;
    let image = image::open(std::env::args().nth(1).ok_or("which image?")?)?.to_rgb8();
    let image = image::imageops::resize(&image, 32, 32, image::imageops::FilterType::Triangle);
    let pixel = |(_, c, y, x): (usize, usize, usize, usize)| image[(x as u32, y as u32)][c];
    let pixels: Tensor = tract_ndarray::Array4::from_shape_fn([1, 3, 32, 32], pixel).into();
    let answer = network.into_optimized()?.into_runnable()?.run(tvec!(pixels.into()))?;
    for (class, probability) in classes.iter().zip(answer[1].to_plain_array_view::<f32>()?) {
        println!("{class} {probability}");
    }
    Ok(())
}
