/*
 * A mend for user-mode Linux 6.1 on CPUs with AMX, preloaded into it.
 *
 * There the kernel's XSAVE area is some 11 kB, and PTRACE_SETREGSET takes nothing but the whole of it. UML knows
 * a shorter one, gets EFAULT, and dies: "ptrace set fp regs failed, errno = 14". So: read the whole area, lay the
 * given bytes over its beginning, write the whole back. The rest (AMX tiles) stays as it was; UML never uses it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

typedef long (*ptrace_function)(int, long, void *, void *);

long ptrace(enum __ptrace_request request, ...)
{
    static ptrace_function real;
    static char area[65536];
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, int);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    if (!real)
        real = (ptrace_function)dlsym(RTLD_NEXT, "ptrace");
    if ((int)request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
        struct iovec *given = data, whole = {area, sizeof area};
        if (real(PTRACE_GETREGSET, pid, address, &whole) == 0 && whole.iov_len > given->iov_len) {
            memcpy(area, given->iov_base, given->iov_len);
            return real(request, pid, address, &whole);
        }
    }
    return real(request, pid, address, data);
}
