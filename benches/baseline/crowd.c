/* crowd PROCESSES MAPS DESCRIPTORS: processes with so many mappings and descriptors each, pipes and
   socket pairs in turn, that all have the System V segment with key 0x5eed attached. Prints "ready" when
   they have, and waits for the end of its input. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int processes = atoi(argv[1]), maps = atoi(argv[2]), descriptors = atoi(argv[3]);
    int segment = shmget(0x5eed, 1 << 20, 0600 | IPC_CREAT), told[2];
    char byte;
    if (segment < 0 || pipe(told) < 0) {
        perror("shmget");
        return 1;
    }
    for (int i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (shmat(segment, 0, 0) == (void *)-1) {
            perror("shmat");
            exit(1);
        }
        for (int j = 0; j < maps; j++)
            /* Two that are alike and beside each other become one. */
            mmap(0, 4096, j & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        for (int j = 0; j < descriptors / 2; j++) {
            int pair[2];
            if ((j & 1 ? pipe(pair) : socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) < 0) {
                perror("pipe");
                exit(1);
            }
        }
        /* The pipe ends when the last one has come here. */
        close(told[0]);
        close(told[1]);
        pause();
        exit(0);
    }
    close(told[1]);
    if (read(told[0], &byte, 1) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
