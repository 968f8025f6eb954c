/* Verifies or signs all messages of a folder with libopendkim, in rounds: see tests/bench/dkim.py for what goes in and out.

   cc -O2 libopendkim.c -lopendkim; ./a.out KEYS SIGNED PLAIN PEM SELECTOR DOMAIN */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>
#include <time.h>

#include <opendkim/dkim.h>

#define MOST 1000

struct octets {
  char *data;
  size_t length;
};

static struct {
  char name[512], record[8192];
} keys[MOST];
static int key_count;

static struct octets read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) exit(3);
  fseek(file, 0, SEEK_END);
  struct octets all = {NULL, (size_t)ftell(file)};
  rewind(file);
  all.data = calloc(1, all.length + 1);
  if (fread(all.data, 1, all.length, file) != all.length) exit(3);
  fclose(file);
  return all;
}

static int read_folder(const char *folder, struct octets *messages) {
  DIR *open = opendir(folder);
  struct dirent *entry;
  char path[4096];
  int count = 0;
  while ((entry = readdir(open)) != NULL && count < MOST) {
    if (strstr(entry->d_name, ".eml") == NULL) continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    messages[count++] = read_file(path);
  }
  closedir(open);
  return count;
}

static DKIM_CBSTAT look_up(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buffer, size_t size) {
  char name[1024];
  snprintf(name, sizeof name, "%s._domainkey.%s", dkim_sig_getselector(sig), dkim_sig_getdomain(sig));
  for (int at = 0; at < key_count; at++)
    if (strcasecmp(keys[at].name, name) == 0) {
      snprintf((char *)buffer, size, "%s", keys[at].record);
      return DKIM_CBSTAT_CONTINUE;
    }
  return DKIM_CBSTAT_NOTFOUND;
}

/* Hands a message over as a milter would: field by field, then the body. */
static bool fed(DKIM *dkim, struct octets message) {
  char *at = message.data, *end = message.data + message.length;
  while (at < end && !(at[0] == '\r' && at[1] == '\n')) {
    char *stop = at;
    do {
      stop = memchr(stop, '\n', (size_t)(end - stop));
      if (stop == NULL) return false;
      stop++;
    } while (stop < end && (*stop == ' ' || *stop == '\t'));
    if (dkim_header(dkim, (u_char *)at, (size_t)(stop - at - 2)) != DKIM_STAT_OK) return false;
    at = stop;
  }
  at += 2;
  DKIM_STAT status = dkim_eoh(dkim);
  if (status != DKIM_STAT_OK) return false;
  if (at < end && dkim_body(dkim, (u_char *)at, (size_t)(end - at)) != DKIM_STAT_OK) return false;
  return dkim_eom(dkim, NULL) == DKIM_STAT_OK;
}

int main(int count, char **arguments) {
  static struct octets messages[2][MOST];
  char line[64], word[32];
  int rounds;
  if (count != 7) return 2;
  FILE *file = fopen(arguments[1], "r");
  while (key_count < MOST && fscanf(file, "%511s %8191[^\n]", keys[key_count].name, keys[key_count].record) == 2) key_count++;
  fclose(file);
  int counts[2] = {read_folder(arguments[2], messages[0]), read_folder(arguments[3], messages[1])};
  char *pem = read_file(arguments[4]).data;
  DKIM_LIB *library = dkim_init(NULL, NULL);
  dkim_set_key_lookup(library, look_up);
  while (fgets(line, sizeof line, stdin) != NULL && sscanf(line, "%31s %d", word, &rounds) == 2) {
    bool signing = strcmp(word, "sign") == 0;
    int good = 0;
    clock_t begun = clock();
    for (int round = 0; round < rounds; round++)
      for (int at = 0; at < counts[signing]; at++) {
        DKIM_STAT status;
        DKIM *dkim = signing ? dkim_sign(library, (u_char *)"x", NULL, (dkim_sigkey_t)pem, (u_char *)arguments[5],
                                         (u_char *)arguments[6], DKIM_CANON_RELAXED, DKIM_CANON_RELAXED,
                                         DKIM_SIGN_RSASHA256, -1, &status)
                             : dkim_verify(library, (u_char *)"x", NULL, &status);
        if (dkim == NULL) return 4;
        u_char *written;
        size_t length;
        if (fed(dkim, messages[signing][at]))
          good += !signing || dkim_getsighdr_d(dkim, 0, &written, &length) == DKIM_STAT_OK;
        dkim_free(dkim);
      }
    printf("%.9f %d\n", (double)(clock() - begun) / CLOCKS_PER_SEC, good);
    fflush(stdout);
  }
  return 0;
}
