"""Vision-language encoders behind one interface; `encoder.load` is the entry point."""
