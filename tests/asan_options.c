// tests/asan_options.c: what AddressSanitizer is told in every program of its build, also in a container, where no
// environment of the tests arrives: freed memory that it keeps back has to leave room under a container's limit.
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=1:abort_on_error=1:malloc_context_size=8:quarantine_size_mb=16";
}
