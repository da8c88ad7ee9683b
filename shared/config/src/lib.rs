//! catalyst.json: schema, flags, environment and validation.
