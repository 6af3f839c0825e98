/* blocked PROCESSES: processes that are blocked in semop(2), all in the first semaphore of a new set, of which
   another one has taken the last unit with SEM_UNDO. Prints "ready" when they sleep, and waits for the end of its
   input. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int processes = atoi(argv[1]);
    int set = semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT);
    struct sembuf post = { 0, 1, 0 }, hold = { 0, -1, SEM_UNDO }, take = { 0, -1, 0 };
    if (set < 0 || semop(set, &post, 1) < 0 || semop(set, &hold, 1) < 0) {
        perror("semop");
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
        semop(set, &take, 1);
        _exit(0);
    }
    while (semctl(set, 0, GETNCNT) < processes)
        usleep(1000);
    puts("ready");
    fflush(stdout);
    getchar();
    semctl(set, 0, IPC_RMID);
    return 0;
}
