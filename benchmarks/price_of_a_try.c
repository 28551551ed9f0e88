/* What does one try of a grinding forger cost, on one core?

   He has triggers of his choice and foresees a model's answers to some of them.  He changes the
   note of his claim until the labels that follow are those answers (docs/forgeries.md).  A try is

       wmx-2: SHA-256 of the claim's last block, SHAKE-256 once for all labels
       wmx-3: SHA-256 of the claim's last block, scrypt (N = 4096, r = 8, p = 1), SHAKE-256 for one
              label after the other, until one is wrong: 1 + 1/K + 1/K^2 + ... of them

   The commitment stays, so no trigger is hashed again.  scrypt is written for the vector unit here,
   since a forger would not take the slower one of OpenSSL, against which it is checked first.
   Counted are seconds of the processor.

       gcc -O3 -march=native -o price_of_a_try benchmarks/price_of_a_try.c -lcrypto
       ./price_of_a_try [seconds for each measurement, 5] */

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 4096, R = 8, LANES = 4 * R, KEY = 32, BLOCK = 128 * R, CLASSES = 10, WANTED = 7 };

typedef uint32_t v4 __attribute__((vector_size(16)));

static uint64_t tries, hits;
static const EVP_MD *sha256, *shake256;
static EVP_MD_CTX *context;

static void need(int ok) {
    if (ok != 1) {
        fprintf(stderr, "OpenSSL failed\n");
        exit(1);
    }
}

static void digest_of(
    const EVP_MD *hash, const uint8_t *in, size_t size, uint8_t *out, size_t wanted
) {
    need(EVP_DigestInit_ex(context, hash, NULL));
    need(EVP_DigestUpdate(context, in, size));
    if (hash == shake256) need(EVP_DigestFinalXOF(context, out, wanted));
    else need(EVP_DigestFinal_ex(context, out, NULL));
}

/* scrypt (RFC 7914).  A block of 16 words is kept as the four diagonals of its square, so that a
   round of Salsa20 is four operations on vectors: word (5 i) mod 16 is at place i. */

#define TURN(a, b) (((a) << (b)) | ((a) >> (32 - (b))))
#define MOVED(a, i, j, k, l) __builtin_shuffle(a, (v4){i, j, k, l})

static inline void salsa20_8(v4 x[4]) {
    v4 a = x[0], b = x[1], c = x[2], d = x[3];
    for (int round = 0; round < 8; round += 2) {
        for (int half = 0; half < 2; half++) {
            b ^= TURN(a + d, 7);
            c ^= TURN(b + a, 9);
            d ^= TURN(c + b, 13);
            a ^= TURN(d + c, 18);
            v4 kept = MOVED(b, 3, 0, 1, 2);
            b = MOVED(d, 1, 2, 3, 0);
            d = kept;
            c = MOVED(c, 2, 3, 0, 1);
        }
    }
    x[0] += a, x[1] += b, x[2] += c, x[3] += d;
}

static inline void block_mix(const v4 *in, const v4 *other, v4 *out) {
    v4 x[4];
    for (int i = 0; i < 4; i++) x[i] = in[4 * (2 * R - 1) + i] ^ other[4 * (2 * R - 1) + i];
    for (int block = 0; block < 2 * R; block++) {
        for (int i = 0; i < 4; i++) x[i] ^= in[4 * block + i] ^ other[4 * block + i];
        salsa20_8(x);
        memcpy(out + 4 * (block / 2 + (block % 2) * R), x, 64);
    }
}

static void in_diagonals(uint32_t *words, int back) {
    uint32_t moved[16];
    for (int block = 0; block < 2 * R; block++, words += 16) {
        for (int i = 0; i < 16; i++) {
            if (back) moved[5 * i % 16] = words[i];
            else moved[i] = words[5 * i % 16];
        }
        memcpy(words, moved, 64);
    }
}

static void stretched(const uint8_t digest[32], const char *salt, uint8_t key[KEY], v4 *table) {
    static v4 x[2 * LANES], y[2 * LANES], zeros[2 * LANES];
    uint8_t *bytes = (uint8_t *)x;
    const char *password = (const char *)digest;
    need(PKCS5_PBKDF2_HMAC(
        password, 32, (const uint8_t *)salt, strlen(salt), 1, sha256, BLOCK, bytes
    ));
    in_diagonals((uint32_t *)x, 0);
    for (int i = 0; i < N; i++) {
        memcpy(table + (size_t)i * 2 * LANES, x, BLOCK);
        block_mix(x, zeros, y);
        memcpy(x, y, BLOCK);
    }
    for (int i = 0; i < N; i++) {
        uint32_t place = ((uint32_t *)(x + 4 * (2 * R - 1)))[0] & (N - 1);
        block_mix(x, table + (size_t)place * 2 * LANES, y);
        memcpy(x, y, BLOCK);
    }
    in_diagonals((uint32_t *)x, 1);
    need(PKCS5_PBKDF2_HMAC(password, 32, bytes, BLOCK, 1, sha256, KEY, key));
}

/* The tries. */

static uint8_t note[64]; /* the last block of the claim; what stands before it was hashed once */

static int label(const uint8_t *word) {
    uint32_t value = (uint32_t)word[0] << 24 | word[1] << 16 | word[2] << 8 | word[3];
    return value % CLASSES; /* but for the few words that are skipped */
}

static int answer(int trigger) { return trigger % CLASSES; } /* what the forger foresees */

static void try_wmx_2(v4 *table) {
    uint8_t seed[12 + 32] = "wmx-2 labels", words[4 * WANTED];
    (void)table;
    digest_of(sha256, note, sizeof note, seed + 12, 32);
    digest_of(shake256, seed, sizeof seed, words, sizeof words);
    int found = 0;
    while (found < WANTED && label(words + 4 * found) == answer(found)) found++;
    hits += found == WANTED;
}

static void labels_in_turn(const uint8_t key[KEY]) {
    uint8_t seed[11 + KEY + 4 + 32] = "wmx-3 label", word[4];
    int found = 0;
    memcpy(seed + 11, key, KEY);
    do {
        seed[11 + KEY + 3] = found;
        seed[11 + KEY + 4] = found; /* in place of a blinding value of its own */
        digest_of(shake256, seed, sizeof seed, word, sizeof word);
    } while (label(word) == answer(found) && ++found < WANTED);
    hits += found == WANTED;
}

static void try_wmx_3(v4 *table) {
    uint8_t digest[32], key[KEY];
    digest_of(sha256, note, sizeof note, digest, 32);
    stretched(digest, "wmx-3 labels", key, table);
    labels_in_turn(key);
}

static void by_openssl(const uint8_t digest[32], uint8_t key[KEY]) {
    const uint8_t *salt = (const uint8_t *)"wmx-3 labels";
    need(EVP_PBE_scrypt((const char *)digest, 32, salt, 12, N, R, 1, 1 << 26, key, KEY));
}

static void try_wmx_3_by_openssl(v4 *table) {
    uint8_t digest[32], key[KEY];
    (void)table;
    digest_of(sha256, note, sizeof note, digest, 32);
    by_openssl(digest, key);
    labels_in_turn(key);
}

static void try_wmx_3_without_scrypt(v4 *table) {
    uint8_t key[KEY];
    (void)table;
    digest_of(sha256, note, sizeof note, key, 32);
    labels_in_turn(key);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void measure(const char *name, void (*one)(v4 *), v4 *table, double seconds) {
    double began = now(), taken;
    tries = hits = 0;
    do {
        memcpy(note, &tries, sizeof tries);
        one(table);
        tries++;
        taken = now() - began;
    } while (taken < seconds);
    printf("%-44s %12.1f tries a second, %9.3f us each\n", name, tries / taken,
           1e6 * taken / tries);
}

int main(int count, char **words) {
    double seconds = count > 1 ? atof(words[1]) : 5;
    v4 *table = aligned_alloc(64, (size_t)N * BLOCK);
    uint8_t key[KEY], expected[KEY], digest[32] = {7};
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    shake256 = EVP_MD_fetch(NULL, "SHAKE256", NULL);
    context = EVP_MD_CTX_new();
    if (!table || !context || !sha256 || !shake256) return 1;
    memset(table, 0, (size_t)N * BLOCK);
    stretched(digest, "wmx-3 labels", key, table);
    by_openssl(digest, expected);
    if (memcmp(key, expected, KEY) != 0) {
        fprintf(stderr, "this scrypt is not OpenSSL's\n");
        return 1;
    }
    measure("wmx-2", try_wmx_2, table, seconds);
    measure("wmx-3", try_wmx_3, table, seconds);
    measure("wmx-3, scrypt of OpenSSL", try_wmx_3_by_openssl, table, seconds);
    measure("wmx-3, if the label key were not stretched", try_wmx_3_without_scrypt, table, seconds);
    free(table);
    EVP_MD_CTX_free(context);
    return 0;
}
