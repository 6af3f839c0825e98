/* msgloop N SIZE: moves N messages of SIZE bytes from one process to another through a private
   queue with bare msgsnd and msgrcv: the rate of the kernel itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

struct message {
    long type;
    char text[8192];
};

static int failed(const char *call)
{
    perror(call);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atoi(argv[2]) > (int)sizeof(((struct message *)0)->text)) {
        fputs("usage: msgloop N SIZE\n", stderr);
        return 2;
    }
    int count = atoi(argv[1]);
    size_t size = atoi(argv[2]);
    struct message message = { .type = 1 };
    memset(message.text, 'x', size);

    int queue = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
    if (queue < 0)
        return failed("msgget");
    pid_t sender = fork();
    if (sender < 0)
        return failed("fork");
    if (sender == 0) {
        for (int i = 0; i < count; i++)
            if (msgsnd(queue, &message, size, 0) < 0)
                _exit(failed("msgsnd"));
        _exit(0);
    }
    for (int i = 0; i < count; i++)
        if (msgrcv(queue, &message, sizeof message.text, 0, 0) < 0)
            return failed("msgrcv");
    wait(NULL);
    return msgctl(queue, IPC_RMID, NULL) < 0 ? failed("msgctl") : 0;
}
