// provisioner/image_registry.h: images that an engine pulls from a registry, and pushes to one.
// Source: Docker Engine API, ImageCreate and ImagePush; OCI Distribution Specification 1.0, references.
#pragma once
#include "provisioner/image.h"

// Whether it names an image of a registry by its content: "registry.example.com/shop/shopd@sha256:...". Fails with
// ERR_INVALID.
MUST_CHECK bool image_reference_check(Str reference, Error *err);

// Has the engine pull an image of image_find that has no archive. Fails with ERR_FORBIDDEN where the registry refuses
// its credentials, else as engine_call.
MUST_CHECK bool image_pull(Engine *engine, const Image *image, const ImageWatch *watch, Error *err);

// Has the engine push an image that it has as REPOSITORY/NAME with the image's tag. `credentials` is a file as
// ImageStore's. *out_reference (in `arena`) is what image_reference_check accepts.
MUST_CHECK bool image_push(Engine *engine, const Image *image, Str repository, Str credentials, const ImageWatch *watch,
                           Arena *arena, Str *out_reference, Error *err);
