"""Vision-language encoders behind one small interface: `encoder.load`, and everything follows from there."""
