/* mkmany SHM SEM MSG: makes that many private System V segments, semaphore sets and queues. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static int failed(const char *call)
{
    perror(call);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: mkmany SHM SEM MSG\n", stderr);
        return 2;
    }
    for (int i = atoi(argv[1]); i > 0; i--)
        if (shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT) < 0)
            return failed("shmget");
    for (int i = atoi(argv[2]); i > 0; i--)
        if (semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT) < 0)
            return failed("semget");
    for (int i = atoi(argv[3]); i > 0; i--)
        if (msgget(IPC_PRIVATE, 0600 | IPC_CREAT) < 0)
            return failed("msgget");
    return 0;
}
