/* msgone send ID TEXT | msgone recv ID: the least that a program does to move one message, and so
   the floor for what starting one costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

struct message {
    long type;
    char text[8192];
};

int main(int argc, char **argv)
{
    struct message message = { .type = 1 };
    if (argc == 4 && !strcmp(argv[1], "send") && strlen(argv[3]) <= sizeof message.text) {
        size_t length = strlen(argv[3]);
        memcpy(message.text, argv[3], length);
        if (msgsnd(atoi(argv[2]), &message, length, 0) < 0)
            return perror("msgsnd"), 1;
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "recv")) {
        ssize_t length = msgrcv(atoi(argv[2]), &message, sizeof message.text, 0, 0);
        if (length < 0)
            return perror("msgrcv"), 1;
        fwrite(message.text, 1, length, stdout);
        putchar('\n');
        return 0;
    }
    fputs("usage: msgone send ID TEXT | msgone recv ID\n", stderr);
    return 2;
}
