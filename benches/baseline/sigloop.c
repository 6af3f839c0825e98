/* sigloop N: sends N queued real-time signals with values from one process to another with bare
   sigqueue and sigwaitinfo, and checks that each one arrives in order: the rate of the kernel
   itself. A full queue is tried again after the others have run. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed(const char *call)
{
    perror(call);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: sigloop N\n", stderr);
        return 2;
    }
    int count = atoi(argv[1]);
    int signal = SIGRTMIN + 1;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return failed("sigprocmask");

    pid_t receiver = getpid();
    pid_t sender = fork();
    if (sender < 0)
        return failed("fork");
    if (sender == 0) {
        for (int i = 1; i <= count; i++) {
            union sigval value = { .sival_int = i };
            while (sigqueue(receiver, signal, value) < 0) {
                if (errno != EAGAIN)
                    _exit(failed("sigqueue"));
                sched_yield();
            }
        }
        _exit(0);
    }
    for (int i = 1; i <= count; i++) {
        siginfo_t info;
        if (sigwaitinfo(&set, &info) < 0)
            return failed("sigwaitinfo");
        if (info.si_value.sival_int != i) {
            fprintf(stderr, "signal %d has the value %d\n", i, info.si_value.sival_int);
            return 1;
        }
    }
    wait(NULL);
    return 0;
}
