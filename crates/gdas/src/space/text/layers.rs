//! The layers of an operation in TOML: `"zero"`, `"skip"`, or a list of layers such as `"relu"` and `{ conv = 3 }`.

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::space::{Body, Layer};

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Zero => serializer.serialize_str("zero"),
            Self::Skip => serializer.serialize_str("skip"),
            Self::Layers(layers) => layers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of layers, \"zero\" or \"skip\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Body, E> {
                match text {
                    "zero" => Ok(Body::Zero),
                    "skip" => Ok(Body::Skip),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
                let mut layers = Vec::new();
                while let Some(layer) = seq.next_element()? {
                    layers.push(layer);
                }
                Ok(Body::Layers(layers))
            }
        }
        deserializer.deserialize_any(BodyVisitor)
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, kernel) = match *self {
            Self::Relu => return serializer.serialize_str("relu"),
            Self::Norm => return serializer.serialize_str("norm"),
            Self::Pointwise => return serializer.serialize_str("pointwise"),
            Self::Conv { kernel } => ("conv", kernel),
            Self::Depthwise { kernel, .. } => ("depthwise", kernel),
            Self::AvgPool { kernel } => ("avg_pool", kernel),
            Self::MaxPool { kernel } => ("max_pool", kernel),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(key, &kernel)?;
        if let Self::Depthwise { dilation, .. } = self
            && *dilation != 1
        {
            map.serialize_entry("dilation", dilation)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayerVisitor;
        impl<'de> Visitor<'de> for LayerVisitor {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a layer: \"relu\", \"norm\", \"pointwise\", { conv = N }, { depthwise = N, dilation = N }, \
                     { avg_pool = N } or { max_pool = N }",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Layer, E> {
                match text {
                    "relu" => Ok(Layer::Relu),
                    "norm" => Ok(Layer::Norm),
                    "pointwise" => Ok(Layer::Pointwise),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layer, A::Error> {
                let (mut window, mut dilation) = (None, None);
                while let Some((key, value)) = map.next_entry::<String, usize>()? {
                    match key.as_str() {
                        "dilation" if dilation.is_none() => dilation = Some(value),
                        "conv" | "depthwise" | "avg_pool" | "max_pool" if window.is_none() => {
                            window = Some((key, value));
                        }
                        _ => {
                            return Err(A::Error::custom(format!("`{key}` does not belong here; expected {Expected}")));
                        }
                    }
                }
                let Some((key, kernel)) = window else {
                    return Err(A::Error::custom(format!("an empty layer; expected {Expected}")));
                };
                match (key.as_str(), dilation) {
                    ("depthwise", dilation) => Ok(Layer::Depthwise { kernel, dilation: dilation.unwrap_or(1) }),
                    (_, Some(_)) => Err(A::Error::custom("only a depthwise convolution has a dilation")),
                    ("conv", None) => Ok(Layer::Conv { kernel }),
                    ("avg_pool", None) => Ok(Layer::AvgPool { kernel }),
                    (_, None) => Ok(Layer::MaxPool { kernel }),
                }
            }
        }
        struct Expected;
        impl fmt::Display for Expected {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                LayerVisitor.expecting(f)
            }
        }
        deserializer.deserialize_any(LayerVisitor)
    }
}
